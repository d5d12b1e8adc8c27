package digicert_test

// The provider in a vault.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/digicert"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// story is a vault with the provider DigiCert.
type story struct {
	*vault.Vault
	t  testing.TB
	ca *certCentral
}

func newStory(t testing.TB) *story {
	t.Helper()
	s := &story{t: t, ca: newCertCentral(t)}
	plain := func(_ context.Context, kind, name, id string, data []byte) ([]byte, error) {
		return bytes.Clone(data), nil
	}
	issuer := s.ca.issuer(digicert.Config{})
	var err error
	s.Vault, err = vault.New(vault.Config{
		Store: new(memory.Store), Seal: plain, Open: plain, Now: s.ca.clock.Now,
		Sleep:     func(_ context.Context, d time.Duration) error { s.ca.clock.advance(d); return nil },
		Providers: map[string]provider.Provider{"self": issuer, "digicert": issuer},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// setIssuer sets the issuer object ca.
func (s *story) setIssuer(change func(*vault.IssuerSet)) (vault.IssuerState, error) {
	s.t.Helper()
	name, err := vault.ParseIssuerName("ca")
	if err != nil {
		s.t.Fatal(err)
	}
	set := issuerSet()
	set.Provider = new("DIGIcert")
	if change != nil {
		change(&set)
	}
	return s.SetIssuer(s.t.Context(), name, set)
}

// create creates the certificate web.
func (s *story) create(certificateType string) (vault.Name, error) {
	s.t.Helper()
	name, err := vault.ParseName("web")
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.Create(s.t.Context(), name, vault.CreateParams{Policy: &policy.Params{
		Key:    &policy.KeyParams{Type: new("EC"), Curve: new("P-256")},
		X509:   &policy.X509Params{Subject: new("CN=example.com"), SANs: &policy.SANs{DNSNames: []string{"www.example.com"}}},
		Issuer: &policy.IssuerParams{Name: new("ca"), CertificateType: &certificateType},
	}})
	return name, err
}

// tick lets the time go on by d and advances.
func (s *story) tick(d time.Duration) {
	s.t.Helper()
	s.ca.clock.advance(d)
	if _, err := s.Advance(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// The wire is Key Vault's: the provider in any case, account_id as it was sent, and
// its words for what is missing.
func TestVaultSetsIssuer(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	o, err := s.setIssuer(nil)
	if err != nil || o.Provider != "DIGIcert" || o.AccountID != "98765" || o.Org.ID != "112233" || o.Password != "" {
		t.Errorf("%+v, %v", o, err)
	}
	_, err = s.setIssuer(func(set *vault.IssuerSet) { set.Org = nil })
	if e := (*field.Error)(nil); !errors.As(err, &e) || *e != (field.Error{Detail: "Id in organization details is not set"}) {
		t.Errorf("without organization: %v", err)
	}
	_, err = s.create("DV-SSL")
	if e := (*field.Error)(nil); !errors.As(err, &e) || !strings.HasPrefix(e.Detail, "The certificate type specified is either invalid or not supported with DigiCert.") {
		t.Errorf("another type: %v", err)
	}
}

// From create to certificate in one tick, where DigiCert issues at once: each call
// is made once.
func TestVaultIssues(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.ca.issuance = 3 * time.Second
	if _, err := s.setIssuer(nil); err != nil {
		t.Fatal(err)
	}
	name, err := s.create("EV-SSL")
	if err != nil {
		t.Fatal(err)
	}
	s.tick(3 * time.Second)
	c, err := s.Certificate(t.Context(), name)
	if err != nil || c.Leaf == nil {
		t.Fatalf("%+v, %v", c, err)
	}
	order := s.ca.only()
	want := []string{
		"GET /order/certificate 200", "POST /order/certificate/ssl_ev_basic 201", fmt.Sprintf("GET /order/certificate/%d 200", order.id),
		fmt.Sprintf("GET /certificate/%d/download/format/pem_all 200", certificateID(order)),
	}
	if diff := cmp.Diff(want, s.ca.take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !bytes.Equal(c.Leaf, order.chain[0]) {
		t.Error("the certificate is another one")
	}
}

// What CertCentral says of a request reaches the operation.
func TestVaultTells(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.ca.approval = true
	if _, err := s.setIssuer(nil); err != nil {
		t.Fatal(err)
	}
	name, err := s.create("")
	if err != nil {
		t.Fatal(err)
	}
	s.tick(3 * time.Second)
	order := s.ca.only()
	op, err := s.Operation(t.Context(), name, "")
	if want := fmt.Sprintf("Order %d needs approval at CertCentral.", order.id); err != nil || op.Answer != want {
		t.Errorf("%+v, %v, want %s", op, err, want)
	}
	s.ca.set(func() {
		order.status = "rejected"
		order.requests[0].status, order.requests[0].processors = "rejected", "Use the other account"
	})
	s.tick(time.Minute)
	op, err = s.Operation(t.Context(), name, "")
	want := vault.OperationError{Code: provider.CodeRejected, Message: fmt.Sprintf("DigiCert's order %d was rejected: Use the other account.", order.id)}
	if err != nil || op.Error == nil || *op.Error != want {
		t.Errorf("%+v, %v, want %+v", op, err, want)
	}
}

// The operation is deleted while its order is on the way: the order is cancelled,
// though no step could save its id.
func TestVaultDeletedInFlight(t *testing.T) {
	t.Parallel()
	for name, isLost := range map[string]bool{"the answer arrives": false, "the answer is lost": true} {
		s := newStory(t)
		s.ca.issuance, s.ca.listingDelay = time.Hour, 2*time.Minute
		if _, err := s.setIssuer(nil); err != nil {
			t.Fatal(err)
		}
		n, err := s.create("")
		if err != nil {
			t.Fatal(err)
		}
		s.ca.faults = []fault.Func{nil, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if _, err := s.DeleteOperation(t.Context(), n, ""); err != nil {
				t.Error(err)
			}
			if isLost {
				fault.Lost(w, r, next)
			}
			next.ServeHTTP(w, r)
		}}
		s.tick(3 * time.Second)
		for range 10 {
			s.tick(2 * time.Minute)
		}
		if status := s.ca.only().status; status != "canceled" {
			t.Errorf("%s: the order is %q", name, status)
		}
	}
}
