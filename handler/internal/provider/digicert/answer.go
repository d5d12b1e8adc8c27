package digicert

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/chain"
)

const (
	maxBody  = 1 << 20         // bytes of an answer
	maxChain = chain.MaxIssued // certificates
	maxText  = 1 << 10         // bytes of one text of CertCentral
)

// order is what is read of an order. Services API page: Order info.
type order struct {
	ID          int64  `json:"id"`
	Status      string `json:"status"`
	Certificate struct {
		ID     int64  `json:"id"` // 0 while there is none
		Status string `json:"status"`
		Serial string `json:"serial_number"` // hexadecimal
		CSR    string `json:"csr"`           // PEM
	} `json:"certificate"`
	Requests []orderRequest `json:"requests"`
}

// orderRequest is one thing that was asked for an order, which people approve.
type orderRequest struct {
	ID       int64  `json:"id"`
	Type     string `json:"type"`
	Status   string `json:"status"`
	Comments string `json:"comments"`
}

// Types of a request.
const (
	typeNew    = "new_request"
	typeRevoke = "revoke"
)

// request is the id of the order's last request of a type and in a status; 0 when
// it has none.
func (o order) request(kind, status string) int64 {
	for _, r := range slices.Backward(o.Requests) {
		if strings.ReplaceAll(r.Type, " ", "_") == kind { // "new request" in older answers
			if r.Status == status {
				return r.ID
			}
			return 0
		}
	}
	return 0
}

func parseOrder(body []byte) (order, error) {
	var o order
	if err := json.Unmarshal(body, &o); err != nil {
		return order{}, malformed(err)
	}
	if o.ID <= 0 || o.Status == "" {
		return order{}, malformed(errors.New("an order without id or status"))
	}
	return o, nil
}

// listed is an order in a list. Services API page: List orders.
type listed struct {
	ID      int64  `json:"id"`
	Created string `json:"date_created"` // RFC 3339
}

// before reports whether the order is known to be older than t.
func (l listed) before(t time.Time) bool {
	created, err := time.Parse(time.RFC3339, l.Created)
	return err == nil && created.Before(t)
}

func parseList(body []byte) ([]listed, error) {
	var answer struct {
		Orders *[]listed `json:"orders"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, malformed(err)
	}
	if answer.Orders == nil {
		return nil, malformed(errors.New("no list of orders"))
	}
	if slices.ContainsFunc(*answer.Orders, func(l listed) bool { return l.ID <= 0 }) {
		return nil, malformed(errors.New("an order without id"))
	}
	return *answer.Orders, nil
}

// parsePlaced reads the id of an order that was placed.
func parsePlaced(body []byte) (int64, error) {
	var answer struct {
		ID int64 `json:"id"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, malformed(err)
	}
	if answer.ID <= 0 {
		return 0, malformed(errors.New("no id of an order"))
	}
	return answer.ID, nil
}

// parsePendingRequest reads the id of a request that people must approve; 0 where
// the body, which may be empty, is none.
func parsePendingRequest(body []byte) int64 {
	var r orderRequest
	if json.Unmarshal(body, &r) != nil || r.Status == "approved" {
		return 0
	}
	return max(r.ID, 0)
}

// parseProcessorComment reads what the person wrote who decided a request. Services
// API page: Request info.
func parseProcessorComment(body []byte) string {
	var answer struct {
		Comment string `json:"processor_comment"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	return answer.Comment
}

// parseChain reads certificates in PEM, in any order, and returns the chain of the
// one that has the public key spki: leaf first, each with its issuer behind it, the
// root last where it is there. What belongs to no such chain is left out. A leaf
// alone is not a chain.
func parseChain(body, spki []byte) ([][]byte, error) {
	var rest []*x509.Certificate
	for {
		block, more := pem.Decode(body)
		if block == nil {
			break
		}
		body = more
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := bounded.Certificate(block.Bytes)
		if err != nil {
			return nil, malformed(err)
		}
		if rest = append(rest, c); len(rest) > maxChain {
			return nil, malformed(fmt.Errorf("more than %d certificates", maxChain))
		}
	}
	if bytes.Contains(body, []byte("-----BEGIN")) {
		return nil, malformed(errors.New("it is cut off"))
	}
	next := slices.IndexFunc(rest, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubjectPublicKeyInfo, spki) })
	if next < 0 {
		return nil, malformed(fmt.Errorf("%d certificates, none with the key of the CSR", len(rest)))
	}
	var chain [][]byte
	for next >= 0 {
		last := rest[next]
		chain = append(chain, last.Raw)
		rest = slices.DeleteFunc(rest, last.Equal)
		next = slices.IndexFunc(rest, func(c *x509.Certificate) bool { return last.CheckSignatureFrom(c) == nil })
	}
	if len(chain) == 1 {
		return nil, malformed(errors.New("the certificate's issuer is not there"))
	}
	return chain, nil
}

func malformed(err error) error { return fmt.Errorf("malformed answer: %w", err) }

// apiError is one reason why CertCentral does not do something. Services API page:
// Errors.
type apiError struct {
	Code    string `json:"code"` // words separated by |, in older answers by a colon
	Message string `json:"message"`
}

// parseErrors reads the errors of an answer, an array or, in old ones, an object;
// nil when it has none.
func parseErrors(body []byte) []apiError {
	var answer struct {
		Errors json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return nil
	}
	var list []apiError
	if json.Unmarshal(answer.Errors, &list) != nil {
		list = make([]apiError, 1)
		if json.Unmarshal(answer.Errors, &list[0]) != nil {
			return nil
		}
	}
	list = slices.DeleteFunc(list, func(e apiError) bool { return e.Code == "" && e.Message == "" })
	for n := range list {
		list[n].Code = strings.ReplaceAll(list[n].Code, ":", "|")
	}
	return list
}

// is reports whether the error's code begins with the given word.
func (e apiError) is(word string) bool {
	first, _, _ := strings.Cut(e.Code, "|")
	return first == word
}
