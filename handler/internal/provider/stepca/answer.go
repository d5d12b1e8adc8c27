package stepca

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
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

// parseSigned reads the answer to a signing: the chain in DER, leaf first.
func parseSigned(body []byte) ([][]byte, error) {
	var a struct {
		Leaf   string   `json:"crt"`
		Issuer string   `json:"ca"`
		Chain  []string `json:"certChain"` // both again, and what follows
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, err
	}
	texts := a.Chain
	if len(texts) == 0 {
		texts = append(texts, a.Leaf)
		if a.Issuer != "" {
			texts = append(texts, a.Issuer)
		}
	}
	if len(texts) > maxChain {
		return nil, fmt.Errorf("%d certificates: must be at most %d", len(texts), maxChain)
	}
	return parseCertificates(texts)
}

// parseCertificates reads certificates, one in PEM each, into DER.
func parseCertificates(texts []string) ([][]byte, error) {
	var chain [][]byte
	for n, text := range texts {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
			return nil, fmt.Errorf("certificate %d is not one certificate in PEM", n+1)
		}
		if _, err := bounded.Certificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("certificate %d: %w", n+1, err)
		}
		chain = append(chain, block.Bytes)
	}
	return chain, nil
}

// answerError is an answer that is not a success.
type answerError struct {
	host, path string
	status     int
	text       string // what the server says
	retryAfter time.Duration
	code       string // of the operation that it ends; empty: asking again may help
}

func (e *answerError) Error() string {
	if e.code != "" {
		return fmt.Sprintf("%s refuses %s: %s", e.host, e.path, e.text)
	}
	return fmt.Sprintf("%s answers %d to %s: %s", e.host, e.status, e.path, e.text)
}

// refusal reads an answer that is not a success. Only the server's own word ends an
// operation; a gateway's page does not.
func (p *Provider) refusal(resp *http.Response, path string, body []byte) *answerError {
	e := &answerError{host: p.base.Host, path: path, status: resp.StatusCode, retryAfter: egress.RetryAfter(resp.Header)}
	text, err := parseError(body)
	e.text = clean(text)
	if e.text == "" {
		e.text = http.StatusText(e.status)
	}
	switch {
	case e.status >= 300 && e.status < 400:
		e.text = "a redirect, which is not followed"
	case err != nil:
	case e.status == http.StatusUnauthorized:
		e.code = provider.CodeIssuerError // of the provisioner's name, its key, or the clocks
	case e.status == http.StatusBadRequest || e.status == http.StatusForbidden:
		e.code = provider.CodeRejected
	}
	return e
}

// parseError reads what the server says in an answer that is not a success, if that
// is in its own form.
func parseError(body []byte) (string, error) {
	var a struct {
		Status  int    `json:"status"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return "", err
	}
	if a.Status == 0 || a.Message == "" {
		return "", errors.New("no status or no message")
	}
	return a.Message, nil
}

// clean bounds a text of the server and puts it into one line.
func clean(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	return strings.ToValidUTF8(s[:min(len(s), maxText)], "")
}
