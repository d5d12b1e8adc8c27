package e2e

// The API as the tests call it.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	// requestLimit bounds one request; a host that starts lets it wait.
	requestLimit = 40 * time.Second
	// answerLimit bounds the body of an answer, in bytes.
	answerLimit = 1 << 20
)

func keepRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// api is Key Vault's API at one address, as a program without an SDK uses it.
type api struct {
	url   string // scheme and authority that are connected to
	host  string // the vault's, as the client names it; empty: that of url
	token string
	http  *http.Client
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends one request; edit may change it. A body is JSON.
func (a *api) do(ctx context.Context, method, target, body string, edit ...func(*http.Request)) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.url+target, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Host = a.host
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, f := range edit {
		f(request)
	}
	response, err := a.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	return read(response)
}

func read(response *http.Response) (answer, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	return answer{response.StatusCode, response.Header, body}, err
}

// must is do for a request that succeeds.
func (a *api) must(t testing.TB, method, target, body string) answer {
	t.Helper()
	got, err := a.do(t.Context(), method, target, body)
	if err == nil && got.status >= 300 {
		err = got.refusal()
	}
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return got
}

// refusal is an answer that is not a success, as an error.
func (a answer) refusal() error {
	return fmt.Errorf("status %d: %s", a.status, bytes.TrimSpace(a.body))
}

// into decodes the body.
func (a answer) into(value any) error {
	if err := json.Unmarshal(a.body, value); err != nil {
		return fmt.Errorf("reading the answer %q: %w", a.body, err)
	}
	return nil
}

// code is the error code of Key Vault's envelope; empty in any other answer.
func (a answer) code() string {
	var envelope struct {
		Error struct{ Code string } `json:"error"`
	}
	if json.Unmarshal(a.body, &envelope) != nil {
		return ""
	}
	return envelope.Error.Code
}

// operation is the pending object of a certificate.
type operation struct {
	RequestID string `json:"request_id"`
	Status    string `json:"status"`
	CSR       []byte `json:"csr"`
	Target    string `json:"target"`
	Error     *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// certificate is a certificate, one version of it or an item of a list.
type certificate struct {
	ID         string `json:"id"`
	KeyID      string `json:"kid"`
	SecretID   string `json:"sid"`
	Thumbprint string `json:"x5t"`
	Leaf       []byte `json:"cer"`
	Attributes struct {
		Enabled bool `json:"enabled"`
	} `json:"attributes"`
}

// version is the last segment of an id.
func (c certificate) version() string { return c.ID[strings.LastIndexByte(c.ID, '/')+1:] }

// list is a page of a list.
type list struct {
	Value    []certificate `json:"value"`
	NextLink *string       `json:"nextLink"`
}

// apiVersion is asked for where no particular one is meant.
const apiVersion = "?api-version=7.6"

// send is do as a sender.
func (a *api) send(ctx context.Context, method, target, body string) (answer, error) {
	return a.do(ctx, method, target, body)
}

// policy is the body of a create, for an EC key, which is made quickly.
func policy(issuer string) string {
	return fmt.Sprintf(`{"policy":{"x509_props":{"subject":"CN=e2e.example.com"},"key_props":{"kty":"EC","crv":"P-256"},"issuer":{"name":%q}}}`, issuer)
}
