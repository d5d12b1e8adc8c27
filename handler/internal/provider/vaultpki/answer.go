package vaultpki

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/egress"
)

const (
	maxChain = chain.MaxIssued // certificates
	maxText  = 1 << 10         // bytes of one text of the server
)

// parseSigned reads the answer to a signing: the chain in DER, leaf first, with
// or without a root as the server has it. The issuer of the leaf is named for
// itself and, where the server knows more, at the beginning of a list.
func parseSigned(body []byte) ([][]byte, error) {
	var a struct {
		Data struct {
			Certificate string   `json:"certificate"`
			IssuingCA   string   `json:"issuing_ca"`
			CAChain     []string `json:"ca_chain"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, err
	}
	texts := []string{a.Data.Certificate}
	if a.Data.IssuingCA != "" {
		texts = append(texts, a.Data.IssuingCA)
	}
	texts = append(texts, a.Data.CAChain...)
	if len(texts) > maxChain {
		return nil, fmt.Errorf("%d certificates: must be at most %d", len(texts), maxChain)
	}
	var chain [][]byte
	for n, text := range texts {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
			return nil, fmt.Errorf("certificate %d is not one certificate in PEM", n+1)
		}
		if _, err := bounded.Certificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("certificate %d: %w", n+1, err)
		}
		known := func(der []byte) bool { return bytes.Equal(der, block.Bytes) }
		if !slices.ContainsFunc(chain, known) {
			chain = append(chain, block.Bytes)
		}
	}
	return chain, nil
}

// answerError is an answer that is not a success.
type answerError struct {
	host, path string
	status     int
	text       string // what the server says
	retryAfter time.Duration

	// final: asking again would not help. Then code is the operation's.
	final bool
	code  string
}

func (e *answerError) Error() string {
	if e.final {
		return fmt.Sprintf("%s refuses %s: %s", e.host, e.path, e.text)
	}
	return fmt.Sprintf("%s answers %d to %s: %s", e.host, e.status, e.path, e.text)
}

// refusal reads an answer that is not a success. Only the server's own word, its
// list of errors, ends an operation; a gateway's page, a server that is sealed,
// behind another or asked too often does not.
func (p *Provider) refusal(resp *http.Response, path string, body []byte) *answerError {
	e := &answerError{host: p.base.Host, path: path, status: resp.StatusCode, retryAfter: egress.RetryAfter(resp.Header)}
	text, said := parseErrors(body)
	e.text = clean(text)
	if e.text == "" {
		e.text = http.StatusText(e.status)
	}
	switch {
	case e.status >= 300 && e.status < 400:
		e.text = fmt.Sprintf("it redirects to %s, which is not followed: it is a standby node that does not forward requests; "+
			"the settings must name the active node, or what finds it", target(resp))
	case said && e.status == http.StatusBadRequest:
		e.final, e.code = true, provider.CodeRejected
	case said && (e.status == http.StatusForbidden || e.status == http.StatusNotFound || e.status == http.StatusMethodNotAllowed):
		e.final, e.code = true, provider.CodeIssuerError // of permissions and mounts
	}
	return e
}

// target is the host that a redirect leads to.
func target(resp *http.Response) string {
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Host == "" {
		return "another place"
	}
	return clean(u.Host)
}

// parseErrors reads what the server says in an answer that is not a success, and
// whether that is in its own form.
func parseErrors(body []byte) (text string, said bool) {
	var a struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(body, &a) != nil || a.Errors == nil {
		return "", false
	}
	return strings.Join(a.Errors, "; "), true
}

// clean bounds a text of the server and puts it into one line.
func clean(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	return strings.ToValidUTF8(s[:min(len(s), maxText)], "")
}
