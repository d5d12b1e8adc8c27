package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// check is one promise of the contract.
type check struct {
	name string
	run  func(*endpoint) error
}

var checks = []check{
	{"requests without credentials are refused", refusesCredentials(func(c *credentials) { c.none = true })},
	{"requests with another secret are refused", refusesCredentials(func(c *credentials) { c.secret += "x" })},
	{"a signature of another body is refused", refusesCredentials(func(c *credentials) { c.replaces = []byte("{}") })},
	{"an old signature is refused", refusesCredentials(func(c *credentials) { c.age = 10 * time.Minute })},
	{"an early signature is refused", refusesCredentials(func(c *credentials) { c.age = -10 * time.Minute })},
	{"a request that was not made is unknown", unknown},
	{"a malformed request is refused", malformed},
	{"a CSR that its key did not sign is refused", forgedCSR},
	{"the same request at once from many sides is one request", once},
	{"the certificate is what was asked for", certificate},
	{"another CSR under the same id is refused", anotherCSR},
	{"an issued request cannot be cancelled", cancelIssued},
	{"a cancelled request is not issued", cancelPending},
	{"revocation works, or is not offered", revocation},
}

// request is the body of a POST.
type request struct {
	RequestID      string              `json:"requestId"`
	Certificate    string              `json:"certificate"`
	CSR            string              `json:"csr"`
	Subject        string              `json:"subject,omitempty"`
	SANs           map[string][]string `json:"sans"`
	EKUs           []string            `json:"ekus"`
	KeyUsage       []string            `json:"keyUsage"`
	ValidityMonths int                 `json:"validityMonths"`
	CA             bool                `json:"ca"`
}

// newRequest asks for a certificate of a new key.
func (e *endpoint) newRequest() (request, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return request{}, err
	}
	id := newID()
	names := []string{"conformance-" + id[:8] + "." + e.domain}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: names[0]},
		DNSNames: names,
	}, key)
	return request{
		RequestID:      id,
		Certificate:    "conformance",
		CSR:            string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})),
		Subject:        "CN=" + names[0],
		SANs:           map[string][]string{"dnsNames": names},
		EKUs:           []string{"1.3.6.1.5.5.7.3.1"},
		KeyUsage:       []string{"digitalSignature"},
		ValidityMonths: 1,
	}, err
}

// newMade makes a new request.
func (e *endpoint) newMade() (request, error) {
	r, err := e.newRequest()
	if err != nil {
		return r, err
	}
	_, err = e.make(r)
	return r, err
}

// newIssued makes a new request and waits for its certificate.
func (e *endpoint) newIssued() (request, answer, error) {
	r, err := e.newMade()
	if err != nil {
		return r, answer{}, err
	}
	a, err := e.issued(r.RequestID)
	return r, a, err
}

// refusesCredentials sends a good request with credentials that are made bad.
func refusesCredentials(spoil func(*credentials)) func(*endpoint) error {
	return func(e *endpoint) error {
		c := e.credentials
		spoil(&c)
		if c.bearer && !c.none && c.secret == e.credentials.secret {
			return nil // is about signatures only
		}
		r, err := e.newRequest()
		if err != nil {
			return err
		}
		reply, err := e.callAs(c, http.MethodPost, "/v1/requests", r)
		if err != nil {
			return err
		}
		return reply.refusal(http.StatusUnauthorized)
	}
}

func unknown(e *endpoint) error {
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		reply, err := e.call(method, "/v1/requests/"+newID(), nil)
		if err != nil {
			return err
		}
		if reply.status != http.StatusNotFound {
			return fmt.Errorf("%s is answered by %d, want 404", method, reply.status)
		}
	}
	return nil
}

func malformed(e *endpoint) error {
	r, err := e.newRequest()
	if err != nil {
		return err
	}
	without := r
	without.CSR = ""
	for _, body := range []any{without, map[string]string{}, []string{}} {
		reply, err := e.call(http.MethodPost, "/v1/requests", body)
		if err != nil {
			return err
		}
		if err := reply.refusal(http.StatusBadRequest, http.StatusUnprocessableEntity); err != nil {
			return err
		}
	}
	return nil
}

func forgedCSR(e *endpoint) error {
	r, err := e.newRequest()
	if err != nil {
		return err
	}
	block, _ := pem.Decode([]byte(r.CSR))
	block.Bytes[len(block.Bytes)-1] ^= 1 // in the signature
	r.CSR = string(pem.EncodeToMemory(block))
	reply, err := e.call(http.MethodPost, "/v1/requests", r)
	if err != nil {
		return err
	}
	return reply.refusal(http.StatusBadRequest, http.StatusForbidden, http.StatusUnprocessableEntity)
}

func once(e *endpoint) error {
	r, err := e.newRequest()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	leaves, errs := make([]string, 8), make([]error, 8)
	for n := range leaves {
		wg.Go(func() {
			if _, errs[n] = e.make(r); errs[n] != nil {
				return
			}
			var a answer
			if a, errs[n] = e.issued(r.RequestID); errs[n] == nil {
				leaves[n] = a.Chain[0]
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	again, err := e.make(r)
	if err != nil {
		return err
	}
	if again.Status != "issued" {
		return fmt.Errorf("the request, sent again when it was issued, is %s", again.Status)
	}
	leaves = append(leaves, again.Chain[0])
	if slices.Sort(leaves); leaves[0] != leaves[len(leaves)-1] {
		return errors.New("the answers have different certificates")
	}
	return nil
}

func certificate(e *endpoint) error {
	r, a, err := e.newIssued()
	if err != nil {
		return err
	}
	var chain []*x509.Certificate
	for n, text := range a.Chain {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
			return fmt.Errorf("element %d of the chain is not one certificate in PEM", n+1)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("element %d of the chain: %w", n+1, err)
		}
		chain = append(chain, c)
	}
	block, _ := pem.Decode([]byte(r.CSR))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return err
	}
	leaf := chain[0]
	now := time.Now()
	switch {
	case len(chain) > 10:
		return fmt.Errorf("%d certificates in the chain, at most 10 are taken", len(chain))
	case !bytes.Equal(leaf.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo):
		return errors.New("the certificate's public key is not the CSR's")
	case !slices.Equal(leaf.DNSNames, csr.DNSNames) || len(leaf.IPAddresses)+len(leaf.EmailAddresses)+len(leaf.URIs) > 0:
		return fmt.Errorf("the certificate's names are %q, the CSR's %q", leaf.DNSNames, csr.DNSNames)
	case leaf.IsCA:
		return errors.New("the certificate is a CA's")
	case now.Before(leaf.NotBefore) || now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate is valid from %s to %s", leaf.NotBefore, leaf.NotAfter)
	}
	for n, issuer := range chain[1:] {
		if err := chain[n].CheckSignatureFrom(issuer); err != nil {
			return fmt.Errorf("certificate %d of the chain is not signed by the next: %w", n+1, err)
		}
	}
	return nil
}

func anotherCSR(e *endpoint) error {
	first, err := e.newMade()
	if err != nil {
		return err
	}
	second, err := e.newRequest()
	if err != nil {
		return err
	}
	second.RequestID = first.RequestID
	reply, err := e.call(http.MethodPost, "/v1/requests", second)
	if err != nil {
		return err
	}
	return reply.refusal(http.StatusUnprocessableEntity)
}

func cancelIssued(e *endpoint) error {
	r, _, err := e.newIssued()
	if err != nil {
		return err
	}
	reply, err := e.call(http.MethodDelete, "/v1/requests/"+r.RequestID, nil)
	if err != nil {
		return err
	}
	if reply.status != http.StatusConflict {
		return fmt.Errorf("DELETE is answered by %d, want 409", reply.status)
	}
	a, err := e.look(r.RequestID)
	if err == nil && a.Status != "issued" {
		err = fmt.Errorf("the request is %s afterwards", a.Status)
	}
	return err
}

// cancelPending cancels a request at once. A CA that is faster has issued it, and
// cancelIssued is about that.
func cancelPending(e *endpoint) error {
	r, err := e.newMade()
	if err != nil {
		return err
	}
	for n := range 2 {
		reply, err := e.call(http.MethodDelete, "/v1/requests/"+r.RequestID, nil)
		switch {
		case err != nil:
			return err
		case n == 0 && reply.status == http.StatusConflict:
			return nil
		case reply.status == http.StatusOK, reply.status == http.StatusAccepted, reply.status == http.StatusNoContent:
		case n == 1 && reply.status == http.StatusNotFound:
		default:
			return fmt.Errorf("DELETE number %d is answered by %d", n+1, reply.status)
		}
	}
	reply, err := e.call(http.MethodGet, "/v1/requests/"+r.RequestID, nil)
	if err != nil || reply.status == http.StatusNotFound {
		return err
	}
	a, err := reply.state()
	if err == nil && a.Status != "failed" {
		err = fmt.Errorf("the request is %s after it was cancelled", a.Status)
	}
	return err
}

func revocation(e *endpoint) error {
	_, a, err := e.newIssued()
	if err != nil {
		return err
	}
	block, _ := pem.Decode([]byte(a.Chain[0]))
	if block == nil {
		return errors.New("the certificate is not in PEM")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(leaf.Raw)
	for range 2 { // it may be repeated
		reply, err := e.call(http.MethodPost, "/v1/revocations", map[string]any{
			"serial": fmt.Sprintf("%x", leaf.SerialNumber.Bytes()), "certificateSha256": hex.EncodeToString(sum[:]), "reason": 4,
		})
		switch {
		case err != nil:
			return err
		case reply.status == http.StatusNotFound, reply.status == http.StatusNotImplemented:
			return nil
		case reply.status < 200 || reply.status > 204:
			return fmt.Errorf("status %d: %.200s", reply.status, reply.body)
		}
	}
	return nil
}
