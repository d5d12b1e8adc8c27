package digicert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// reply is an answer of CertCentral.
type reply struct {
	answerError
	body []byte
}

// failure is the reply as an error, nil when it is a success.
func (r *reply) failure() error {
	if r.status >= 200 && r.status < 300 {
		return nil
	}
	return &r.answerError
}

// call makes one request with the API key of an issuer object and reads the answer.
// body is JSON, or nil.
func (p *Provider) call(ctx context.Context, issuer provider.Issuer, method, path string, query url.Values, body []byte) (*reply, error) {
	u := *p.base
	u.Path, u.RawQuery = u.Path+path, query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("calling DigiCert: %w", err)
	}
	req.Header.Set("X-DC-DEVKEY", issuer.Password)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "certwright")
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("calling DigiCert: %w", err)
	}
	defer resp.Body.Close()
	r := &reply{answerError: answerError{host: p.base.Host, method: method, status: resp.StatusCode, retryAfter: egress.RetryAfter(resp.Header)}}
	if r.body, err = io.ReadAll(resp.Body); err != nil {
		return nil, fmt.Errorf("reading DigiCert's answer to %s: %w", method, err)
	}
	if r.failure() != nil {
		r.errors = parseErrors(r.body)
		for n := range r.errors {
			r.errors[n].Message = field.Cut(r.errors[n].Message, maxText)
			r.errors[n].Code = field.Cut(r.errors[n].Code, maxText)
		}
	}
	return r, nil
}

// answerError is an answer that is not a success.
type answerError struct {
	host, method string
	status       int
	retryAfter   time.Duration
	errors       []apiError
}

func (e *answerError) Error() string {
	if len(e.errors) == 0 {
		return fmt.Sprintf("%s answers %d to %s: %s", e.host, e.status, e.method, http.StatusText(e.status))
	}
	var texts []string
	for _, reason := range e.errors {
		texts = append(texts, strings.Trim(reason.Message+" ("+reason.Code+")", " "))
	}
	return field.Cut(strings.Join(texts, "; "), maxText)
}

// Bounds of the pause after a 429, which does not say how long it is to be: the
// limits are 100 requests in 5 s and 1000 in 3 min.
const (
	minPause = 5 * time.Second
	maxPause = time.Minute
)

// pause is how long CertCentral wants to be left alone; 0 when it does not say. It
// differs from request to request, so that what was throttled together does not
// come back together.
func (e *answerError) pause(req provider.Request) time.Duration {
	if e.retryAfter > 0 || !throttled(e) {
		return e.retryAfter
	}
	h := fnv.New32a()
	fmt.Fprint(h, req.ID, req.Attempts)
	return minPause + time.Duration(h.Sum32())%(maxPause-minPause)
}

// throttled reports whether a request had no effect because there were too many.
func throttled(err error) bool {
	e := (*answerError)(nil)
	return errors.As(err, &e) && (e.status == http.StatusTooManyRequests || e.has("request_limit_exceeded"))
}

// refused reports whether CertCentral itself, not something in between, refuses a
// request for what it is.
func refused(err error) bool {
	e := (*answerError)(nil)
	if !errors.As(err, &e) || len(e.errors) == 0 || throttled(err) {
		return false
	}
	switch e.status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly:
		return false
	}
	return e.status >= 400 && e.status < 500
}

// usedCSR reports whether an order was refused because another one has its CSR. The
// code of that error is not documented.
func usedCSR(err error) bool {
	e := (*answerError)(nil)
	if !refused(err) || !errors.As(err, &e) {
		return false
	}
	for _, reason := range e.errors {
		text := strings.ToLower(reason.Code + " " + reason.Message)
		for _, word := range []string{"already", "previously", "reuse", "used", "duplicate", "unique"} {
			if strings.Contains(text, "csr") && strings.Contains(text, word) {
				return true
			}
		}
	}
	return false
}

// notFound reports whether CertCentral itself says that there is no such thing.
func notFound(err error) bool {
	e := (*answerError)(nil)
	return errors.As(err, &e) && e.status == http.StatusNotFound && e.has("not_found")
}

// has reports whether one of the errors has a code.
func (e *answerError) has(word string) bool {
	for _, reason := range e.errors {
		if reason.is(word) {
			return true
		}
	}
	return false
}
