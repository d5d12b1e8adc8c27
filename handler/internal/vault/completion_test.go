package vault_test

// Chains that are completed.

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// offering is a provider whose CA offers certificates.
type offering struct {
	stepping
	offer func() ([][]byte, error)
	asked int
}

func (o *offering) Certificates(context.Context, provider.Issuer) ([][]byte, error) {
	o.asked++
	return o.offer()
}

// raw are certificates in DER.
func raw(certs ...*certifier) [][]byte {
	var der [][]byte
	for _, c := range certs {
		der = append(der, c.Raw)
	}
	return der
}

// returns makes the provider return a leaf of issuer with other certificates.
func (p *stepping) returns(t testing.TB, issuer *certifier, others ...*certifier) {
	p.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		csr, err := x509.ParseCertificateRequest(req.CSR)
		if err != nil {
			t.Error(err)
		}
		leaf := issuer.certify(t, &x509.Certificate{Subject: csr.Subject}, csr.PublicKey)
		return nil, provider.Issued(append([][]byte{leaf.Raw}, raw(others...)...))
	}
}

// chainOf are the subjects of the stored chain of the latest version, its leaf
// left out; the status of an operation that has not completed.
func (h *harness) chainOf(n string) string {
	h.t.Helper()
	if op := h.mustOperation(n); op.Status != vault.StatusCompleted {
		return string(op.Status)
	}
	c, err := h.Certificate(context.Background(), name(h.t, n))
	if err != nil {
		h.t.Fatal(err)
	}
	var subjects []string
	data := h.store.Contents().Blobs[n+"/"+c.Version+".pem"]
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			h.t.Fatal(err)
		}
		subjects = append(subjects, cert.Subject.CommonName)
	}
	if len(subjects) == 0 {
		h.t.Fatalf("%s has no chain among %d blobs", n, len(h.store.Contents().Blobs))
	}
	return strings.Join(subjects[1:], " < ")
}

func TestChainIsCompleted(t *testing.T) {
	t.Parallel()
	root := newCertifier(t, "Root", nil)
	middle := newCertifier(t, "Middle", root)
	issuing := newCertifier(t, "Issuing", middle)
	impostor := newCertifier(t, "Issuing", newCertifier(t, "Root", nil))
	other := newCertifier(t, "Other", root)
	unrelated := newCertifier(t, "Unrelated Root", nil)
	old := *issuing
	old.Certificate = middle.certify(t, &x509.Certificate{
		RawSubject: issuing.RawSubject, NotBefore: newClock().Now().AddDate(-2, 0, 0), NotAfter: newClock().Now().AddDate(-1, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}, issuing.key.Public())
	offer := func(certs ...*certifier) func() ([][]byte, error) {
		return func() ([][]byte, error) { return raw(certs...), nil }
	}
	many := slices.Repeat(raw(issuing), 65)
	for _, test := range []struct {
		what    string
		comes   []*certifier
		offer   func() ([][]byte, error)
		want    string
		unasked bool // the CA is not asked
	}{
		{"complete", []*certifier{issuing, middle, root}, nil, "Issuing < Middle < Root", true},
		{"in another order", []*certifier{root, issuing, middle}, nil, "Issuing < Middle < Root", true},
		{"without its root", []*certifier{issuing, middle}, nil, "Issuing < Middle", true},
		{"without those above", []*certifier{issuing}, nil, "Issuing", true},
		{"a CA twice", []*certifier{issuing, issuing, middle, middle, root}, nil, "Issuing < Middle < Root", true},
		{"another root too", []*certifier{unrelated, issuing, middle, root}, nil, "Issuing < Middle < Root", true},
		{"another root, and not its own", []*certifier{issuing, middle, unrelated}, offer(), "Issuing < Middle", false},
		{"another root alone", []*certifier{unrelated}, offer(), string(vault.StatusFailed), false},
		{"a namesake of its CA", []*certifier{impostor}, offer(), string(vault.StatusFailed), false},
		{"a namesake above", []*certifier{issuing, newCertifier(t, "Middle", root)}, offer(), string(vault.StatusFailed), false},
		{"leaf only", nil, offer(root, other, issuing, middle), "Issuing < Middle < Root", false},
		{"leaf only, less offered", nil, offer(issuing), "Issuing", false},
		{"gap", []*certifier{root}, offer(issuing, middle), "Issuing < Middle < Root", false},
		{"gap above", []*certifier{issuing, root}, offer(middle), "Issuing < Middle < Root", false},
		{"gap that stays", []*certifier{root}, offer(issuing), string(vault.StatusFailed), false},
		{"same name, another key", nil, offer(impostor, issuing), "Issuing", false},
		{"only another key", nil, offer(impostor), "", false},
		{"expired", nil, offer(&old), "", false},
		{"expired, and renewed", nil, offer(&old, issuing), "Issuing", false},
		{"nothing that fits", nil, offer(root, other), "", false},
		{"nothing", nil, offer(), "", false},
		{"garbage", nil, func() ([][]byte, error) { return [][]byte{[]byte("garbage")}, nil }, "", false},
		{"too many", nil, func() ([][]byte, error) { return many, nil }, "", false},
		{"no answer", nil, func() ([][]byte, error) { return nil, errors.New("connection refused") }, "", false},
		{"panic", nil, func() ([][]byte, error) { panic("out of cheese") }, "", false},
	} {
		o := &offering{offer: test.offer}
		o.returns(t, issuing, test.comes...)
		h := newHarness(t, map[string]provider.Provider{"ca": o})
		h.mustSetIssuer("ca", "CA")
		h.mustCreate("web", "ca")
		h.clock.Advance(2 * time.Second)
		h.mustTick()
		if got := h.chainOf("web"); got != test.want {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
		if (o.asked == 0) != test.unasked {
			t.Errorf("%s: the CA was asked %d times", test.what, o.asked)
		}
	}
}

// A CA that offers nothing may have sent its chain the last time. That of another
// issuer object does not count, and a signature that it cannot have made neither.
func TestChainIsCompletedFromTheLast(t *testing.T) {
	t.Parallel()
	root := newCertifier(t, "Root", nil)
	issuing := newCertifier(t, "Issuing", root)
	successor := newCertifier(t, "Issuing", root)
	for _, test := range []struct {
		what         string
		issuer       string // of the next version
		signer       *certifier
		want         string
		storageCalls int
	}{
		{"same issuer", "one", issuing, "Issuing < Root", 15},
		{"another key", "one", successor, "", 15},
		{"another issuer object", "other", issuing, "", 14},
	} {
		p := &stepping{}
		h := newHarness(t, map[string]provider.Provider{"ca": p})
		h.mustSetIssuer("one", "CA")
		h.mustSetIssuer("other", "CA")
		p.returns(t, issuing, issuing, root)
		h.mustCreate("web", "one")
		h.clock.Advance(2 * time.Second)
		h.mustTick()
		p.returns(t, test.signer)
		h.mustCreate("web", test.issuer)
		h.clock.Advance(2 * time.Second)
		h.store.ResetCalls()
		h.mustTick()
		calls := h.store.Calls()
		if got := h.chainOf("web"); got != test.want {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
		if calls.Total() != test.storageCalls {
			t.Errorf("%s: %d storage calls %v, want %d", test.what, calls.Total(), calls, test.storageCalls)
		}
	}
}

// A chain that is complete costs no more storage calls than a first one.
func TestCompleteChainCostsNothing(t *testing.T) {
	t.Parallel()
	root := newCertifier(t, "Root", nil)
	p := &stepping{}
	p.returns(t, root, root)
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	h.mustSetIssuer("ca", "CA")
	for range 2 {
		h.mustCreate("web", "ca")
		h.clock.Advance(2 * time.Second)
		h.store.ResetCalls()
		h.mustTick()
		if calls := h.store.Calls(); calls.Total() != 14 {
			t.Errorf("%d storage calls %v, want 14", calls.Total(), calls)
		}
	}
}
