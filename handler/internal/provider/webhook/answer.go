package webhook

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/provider"
)

// answer is what the CA says of a request.
type answer struct {
	Status     string   `json:"status"`
	ExternalID string   `json:"externalId"` // the CA's own name of it
	Detail     string   `json:"detail"`     // for people
	Chain      []string `json:"chain"`      // statusIssued: PEM, leaf first
	Error      *problem `json:"error"`      // statusFailed

	der [][]byte // Chain
}

// States of a request.
const (
	statusPending = "pending"
	statusIssued  = "issued"
	statusFailed  = "failed"
)

// problem is a problem document. RFC 9457 section 3.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

const (
	maxChain = chain.MaxIssued // certificates
	maxText  = 1 << 10         // bytes of one text of the CA
)

// outcome is what a reply to a look at the request, or to making it, means.
//
// Only the CA's own word ends an operation: its status, or a problem document in
// a refusal of the POST. Anything else, from a gateway's error page to a chain
// that cannot be read, is tried again: it may be mended, and the CA keeps the
// request.
func (p *Provider) outcome(req provider.Request, r reply, made bool) provider.Outcome {
	now := p.cfg.Now()
	if r.status >= 200 && r.status < 300 {
		a, err := parseAnswer(r.body)
		if err != nil {
			return provider.Retry(time.Time{}, fmt.Errorf("%s gave a malformed answer to %s: %w", p.base.Host, r.method, err))
		}
		switch a.Status {
		case statusIssued:
			return provider.Issued(a.der)
		case statusFailed:
			return p.refused(*a.Error)
		}
		pause := r.retryAfter
		if pause == 0 {
			pause = pollInterval(now.Sub(req.Created))
		}
		return provider.Pending(now.Add(pause), a.text())
	}
	if made && r.problem && refusal(r.status) {
		return p.refused(parseProblem(r.body))
	}
	var until time.Time
	if r.retryAfter > 0 {
		until = now.Add(r.retryAfter)
	}
	return provider.Retry(until, p.unexpected(r))
}

// refusal reports whether a status refuses a request for good. A 409 does not:
// another POST of the same request is being answered.
func refusal(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

func (p *Provider) refused(said problem) provider.Outcome {
	return provider.Failed(provider.CodeRejected, fmt.Sprintf("%s refuses the request: %s", p.base.Host, said.text()))
}

// unexpected is the error of a reply that the contract does not know.
func (p *Provider) unexpected(r reply) error {
	text := http.StatusText(r.status)
	if r.problem {
		text = parseProblem(r.body).text()
	}
	return fmt.Errorf("%s answers %d to %s: %s", p.base.Host, r.status, r.method, text)
}

// pollInterval is how soon to look again where the CA does not say: a tenth of
// the request's age, so that a CA that signs at once is not waited for and one
// whose people decide is not asked all day.
func pollInterval(age time.Duration) time.Duration {
	return min(max(age/10, 5*time.Second), 10*time.Minute)
}

// parseAnswer reads the body of a successful answer.
func parseAnswer(body []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, err
	}
	switch a.Status {
	case statusPending:
	case statusIssued:
		if err := a.decodeChain(); err != nil {
			return answer{}, fmt.Errorf("chain: %w", err)
		}
	case statusFailed:
		if a.Error == nil {
			return answer{}, errors.New("status failed without error")
		}
	default:
		return answer{}, fmt.Errorf("unknown status %q", clean(a.Status))
	}
	return a, nil
}

func (a *answer) decodeChain() error {
	if len(a.Chain) == 0 || len(a.Chain) > maxChain {
		return fmt.Errorf("%d certificates: must be 1 to %d", len(a.Chain), maxChain)
	}
	for n, text := range a.Chain {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
			return fmt.Errorf("element %d is not one certificate in PEM", n+1)
		}
		if _, err := bounded.Certificate(block.Bytes); err != nil {
			return fmt.Errorf("element %d: %w", n+1, err)
		}
		a.der = append(a.der, block.Bytes)
	}
	return nil
}

// text is what a pending request waits for.
func (a answer) text() string {
	var parts []string
	if a.Detail != "" {
		parts = append(parts, clean(a.Detail))
	}
	if a.ExternalID != "" {
		parts = append(parts, "The CA's id is "+clean(a.ExternalID)+".")
	}
	return strings.Join(parts, " ")
}

// parseProblem reads a problem document as far as it is one.
func parseProblem(body []byte) problem {
	var p problem
	if json.Unmarshal(body, &p) != nil {
		return problem{}
	}
	return p
}

// text is the problem for people.
func (p problem) text() string {
	var parts []string
	for _, part := range []string{p.Title, p.Detail} {
		if part != "" {
			parts = append(parts, clean(part))
		}
	}
	if len(parts) == 0 && p.Type != "" {
		parts = append(parts, clean(p.Type))
	}
	if len(parts) == 0 {
		return "it does not say why"
	}
	return strings.Join(parts, ": ")
}

// clean bounds a text of the CA.
func clean(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxText)], "")
}

func isProblem(h http.Header) bool {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && t == "application/problem+json"
}
