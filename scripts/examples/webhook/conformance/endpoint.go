package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// endpoint is what is checked.
type endpoint struct {
	url         string
	domain      string
	wait        time.Duration // for a certificate
	poll        time.Duration // between looks
	credentials credentials
	client      *http.Client
}

// credentials are how requests show who sends them.
type credentials struct {
	keyID, secret string
	bearer        bool
	none          bool          // send nothing
	age           time.Duration // of signatures
	replaces      []byte        // sign this body instead
}

// reply is an answer of the endpoint.
type reply struct {
	status  int
	problem bool
	body    []byte
}

// answer is the state of a request.
type answer struct {
	Status     string
	ExternalID string
	Chain      []string
	Error      json.RawMessage
}

// call sends a request with the endpoint's credentials.
func (e *endpoint) call(method, path string, body any) (reply, error) {
	return e.callAs(e.credentials, method, path, body)
}

func (e *endpoint) callAs(c credentials, method, path string, body any) (reply, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return reply{}, err
		}
	}
	req, err := http.NewRequest(method, e.url+path, bytes.NewReader(content))
	if err != nil {
		return reply{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r, ok := body.(request); ok {
		req.Header.Set("Idempotency-Key", r.RequestID)
	}
	c.authenticate(req, content)
	resp, err := e.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 256<<10+1))
	if err == nil && len(text) > 256<<10 {
		err = errors.New("the answer is longer than 256 KiB")
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return reply{resp.StatusCode, mediaType == "application/problem+json", text}, err
}

// authenticate signs a request as Certwright does (RFC 9421), or adds the token.
func (c credentials) authenticate(req *http.Request, content []byte) {
	if c.none {
		return
	}
	if c.bearer {
		req.Header.Set("Authorization", "Bearer "+c.secret)
		return
	}
	if c.replaces != nil {
		content = c.replaces
	}
	sum := sha256.Sum256(content)
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	parameters := fmt.Sprintf(`("@method" "@authority" "@path" "content-digest");created=%d;keyid="%s";alg="hmac-sha256"`,
		time.Now().Add(-c.age).Unix(), strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(c.keyID))
	mac := hmac.New(sha256.New, []byte(c.secret))
	fmt.Fprintf(mac, "\"@method\": %s\n\"@authority\": %s\n\"@path\": %s\n\"content-digest\": %s\n\"@signature-params\": %s",
		req.Method, strings.TrimSuffix(strings.ToLower(req.URL.Host), ":443"), req.URL.EscapedPath(), digest, parameters)
	req.Header.Set("Content-Digest", digest)
	req.Header.Set("Signature-Input", "certwright="+parameters)
	req.Header.Set("Signature", "certwright=:"+base64.StdEncoding.EncodeToString(mac.Sum(nil))+":")
}

// make sends a request and returns its state. That the same request is being
// made at this moment is an answer too; it is sent again.
func (e *endpoint) make(r request) (answer, error) {
	for range 20 {
		reply, err := e.call(http.MethodPost, "/v1/requests", r)
		if err != nil {
			return answer{}, err
		}
		if reply.status != http.StatusConflict {
			return reply.state()
		}
		time.Sleep(e.poll)
	}
	return answer{}, errors.New("POST is answered by 409 again and again")
}

// look returns the state of a request.
func (e *endpoint) look(id string) (answer, error) {
	reply, err := e.call(http.MethodGet, "/v1/requests/"+id, nil)
	if err != nil {
		return answer{}, err
	}
	return reply.state()
}

// issued waits until a request is issued.
func (e *endpoint) issued(id string) (answer, error) {
	for end := time.Now().Add(e.wait); ; time.Sleep(e.poll) {
		a, err := e.look(id)
		switch {
		case err != nil:
			return answer{}, err
		case a.Status == "issued":
			return a, nil
		case a.Status == "failed":
			return answer{}, fmt.Errorf("the request failed: %s", a.Error)
		case time.Now().After(end):
			return answer{}, fmt.Errorf("the request is still pending after %s", e.wait)
		}
	}
}

// state reads an answer that has one.
func (r reply) state() (answer, error) {
	var a answer
	if r.status < 200 || r.status > 202 {
		return a, fmt.Errorf("status %d: %.200s", r.status, r.body)
	}
	if err := json.Unmarshal(r.body, &a); err != nil {
		return a, fmt.Errorf("malformed answer: %w", err)
	}
	switch {
	case a.Status == "pending", a.Status == "issued" && len(a.Chain) > 0, a.Status == "failed" && a.Error != nil:
		return a, nil
	}
	return a, fmt.Errorf("status %q is incomplete or unknown", a.Status)
}

// refusal reports how a reply differs from a refusal by one of statuses.
func (r reply) refusal(statuses ...int) error {
	for _, status := range statuses {
		if r.status == status && r.problem {
			return nil
		}
	}
	return fmt.Errorf("status %d (problem document: %t), want a problem document with one of %d", r.status, r.problem, statuses)
}

func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}
