package acme_test

// Renewal information, replacement and revocation.

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
)

func TestRenewalInfo(t *testing.T) {
	t.Parallel()
	o := newSetup(t, quick).request("renew.example.test")
	leaf := o.issue()[0]
	info, err := o.provider.RenewalInfo(t.Context(), o.req.Issuer, leaf)
	if err != nil {
		t.Fatal(err)
	}
	if info.Start.Before(leaf.NotBefore) || !info.End.After(info.Start) || info.End.After(leaf.NotAfter) || info.Again != 6*time.Hour {
		t.Errorf("renewal information %+v of a certificate from %s to %s", info, leaf.NotBefore, leaf.NotAfter)
	}
}

func TestRenewalInfoAsAnswered(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request("answered.example.test")
	leaf := o.issue()[0]
	start, end := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2031, 1, 2, 3, 4, 6, 0, time.UTC)
	for _, test := range []struct {
		answer string
		want   *provider.RenewalInfo // nil: an error
	}{
		{`{"suggestedWindow":{"start":"2031-01-02T03:04:05Z","end":"2031-01-02T03:04:06Z"},"explanationURL":"https://ca.test/why"}`,
			&provider.RenewalInfo{Start: start, End: end, Explanation: "https://ca.test/why", Again: 6 * time.Hour}},
		{`{"suggestedWindow":{"start":"2031-01-02T03:04:06Z","end":"2031-01-02T03:04:05Z"}}`, nil},
		{`{"suggestedWindow":{"start":"2031-01-02T03:04:05Z","end":"2031-01-02T03:04:05Z"}}`, nil},
		{`{}`, nil},
		{`<html>`, nil},
	} {
		if err := quick.SetRenewalInfo(t.Context(), leaf, test.answer); err != nil {
			t.Fatal(err)
		}
		info, err := o.provider.RenewalInfo(t.Context(), o.req.Issuer, leaf)
		if test.want == nil {
			if err == nil || errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: %+v, %v; want an error", test.answer, info, err)
			}
			continue
		}
		if diff := cmp.Diff(*test.want, info); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", test.answer, err, diff)
		}
	}
}

func TestRenewalInfoOfAnothersCertificate(t *testing.T) {
	t.Parallel()
	leaf := newSetup(t, difficult).request("others.example.test").issue()[0]
	if info, err := newSetup(t, quick).provider().RenewalInfo(t.Context(), provider.Issuer{}, leaf); err == nil {
		t.Errorf("a CA that did not issue it says %+v", info)
	}
}

// TestReplaces proves what the CA was told by what it says to a second
// replacement of one certificate.
func TestReplaces(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	first := s.request("replaced.example.test").issue()[0]
	unlinked := func(out provider.Outcome) bool {
		return strings.Contains(out.Detail, "does not name the certificate that it replaces")
	}

	second := s.request("replaced.example.test")
	second.req.Predecessor = first.Raw
	out, refused := second.until(unlinked)
	if refused {
		t.Fatalf("the first replacement: %s", out.Detail)
	}
	second.issued(out)

	third := s.request("replaced.example.test")
	third.req.Predecessor = first.Raw
	if out, refused = third.until(unlinked); !refused || !strings.Contains(out.Detail, "alreadyReplaced") {
		t.Fatalf("the second replacement: %s: %s", out.Kind, out.Detail+out.Message)
	}
	third.issue()
}

func TestReplacementThatTheCADoesNotKnow(t *testing.T) {
	t.Parallel()
	others := newSetup(t, quick).request("moved.example.test").issue()[0] // of another account
	strange := newSetup(t, difficult).request("moved.example.test").issue()[0]
	for name, test := range map[string]struct {
		predecessor []byte
		refused     bool
	}{
		"of another account": {others.Raw, true},
		"of another CA":      {strange.Raw, true},
		"none":               {nil, false},
		"unreadable":         {[]byte("x"), false},
		"self-signed":        {quick.TLS().Certificate[0], false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, quick)
			o := s.request(label(name) + ".moved.example.test")
			o.req.Predecessor = test.predecessor
			o.issue()
			if refused := strings.Contains(string(o.state), `"unlinked":true`); refused != test.refused {
				t.Errorf("the CA refused the replacement: %t, want %t", refused, test.refused)
			}
		})
	}
}

func TestNoRenewalInfo(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	o := s.operation(t)
	if _, err := o.provider.RenewalInfo(t.Context(), o.req.Issuer, s.server.Certificate()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a CA without renewal information: %v", err)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request("revoked.example.test")
	leaf := o.issue()[0]
	if err := newSetup(t, quick).provider().Revoke(t.Context(), o.req.Issuer, leaf, 0); err == nil {
		t.Error("an account that the CA does not know revoked a certificate")
	}
	if revoked := isRevoked(t, leaf); revoked {
		t.Fatal("it is revoked already")
	}
	for range 2 {
		if err := s.provider().Revoke(t.Context(), o.req.Issuer, leaf, 4); err != nil {
			t.Errorf("revoking: %v", err)
		}
	}
	if revoked := isRevoked(t, leaf); !revoked {
		t.Error("it is not revoked")
	}
}

func isRevoked(t *testing.T, leaf *x509.Certificate) bool {
	t.Helper()
	revoked, err := quick.Revoked(t.Context(), leaf)
	if err != nil {
		t.Fatal(err)
	}
	return revoked
}

func TestRevokeOfAnothersCertificate(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request("mine.example.test")
	o.issue()
	leaf := newSetup(t, quick).request("theirs.example.test").issue()[0]
	if err := o.provider.Revoke(t.Context(), o.req.Issuer, leaf, 0); err == nil || isRevoked(t, leaf) {
		t.Errorf("another account's certificate: %v", err)
	}
}

// TestRevokeWithoutReason: a CA that does not take a reason revokes without.
func TestRevokeWithoutReason(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request("reasonless.example.test")
	leaf := o.issue()[0]
	const unused = 7 // RFC 5280 section 5.3.1 has none of this number
	if err := s.provider().Revoke(t.Context(), o.req.Issuer, leaf, unused); err != nil || !isRevoked(t, leaf) {
		t.Errorf("revoked: %t, %v", isRevoked(t, leaf), err)
	}
}
