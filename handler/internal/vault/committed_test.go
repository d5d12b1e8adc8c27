package vault_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// atFirstCommit is a store in which a fault happens to the first commit.
func atFirstCommit(h *harness, fault func() storetest.Fault) *storetest.Faulty {
	commits := 0
	return storetest.NewFaulty(h.store, func(c storetest.Call) storetest.Fault {
		if c.Kind == memory.Commit {
			if commits++; commits == 1 {
				return fault()
			}
		}
		return storetest.None
	})
}

// TestCreateAnswersWhatIsStored: whichever try of the commit counts, the CSR of the
// answer is that of the operation.
func TestCreateAnswersWhatIsStored(t *testing.T) {
	t.Parallel()
	for _, fault := range []storetest.Fault{storetest.None, storetest.Lost, storetest.AppliedButFailed, storetest.Late(1), storetest.Late(2), storetest.Late(3)} {
		h := newHarness(t, nil)
		p := policyFor("Unknown")
		p.Key = &policy.KeyParams{Type: new("EC")}
		if err := second(h.Create(t.Context(), name(t, "web"), vault.CreateParams{Policy: p})); err != nil {
			t.Fatal(err)
		}
		if err := second(h.DeleteOperation(t.Context(), name(t, "web"), "")); err != nil {
			t.Fatal(err)
		}
		v := open(t, atFirstCommit(h, func() storetest.Fault { return fault }), h.clock, nil)
		op, err := v.Create(t.Context(), name(t, "web"), vault.CreateParams{})
		if err != nil {
			t.Fatalf("%s: %v", fault, err)
		}
		if stored := h.mustOperation("web"); string(op.CSR) != string(stored.CSR) || op.KeyID != stored.KeyID || op.RequestID != stored.RequestID {
			t.Errorf("%s: the answer has the key %s, the operation %s", fault, op.KeyID, stored.KeyID)
		}
	}
}

// TestRetryTakesItsOwnKey: another request takes the place of the one that an operator
// retries, between two tries of the commit.
func TestRetryTakesItsOwnKey(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", `reject="no"`)
	begin := func(subject, kty string) {
		p := policyFor("ca")
		p.X509.Subject, p.Key = &subject, &policy.KeyParams{Type: &kty}
		if err := second(h.Create(t.Context(), name(t, "web"), vault.CreateParams{Policy: p})); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(3 * time.Second)
		h.mustTick()
	}
	begin("CN=a.example.com", "RSA")
	v := open(t, atFirstCommit(h, func() storetest.Fault {
		begin("CN=b.example.com", "EC")
		return storetest.Lost
	}), h.clock, nil)
	if _, err := v.RetryOperation(t.Context(), name(t, "web"), "", ""); err != nil {
		t.Fatal(err)
	}
	op := h.mustOperation("web")
	csr, err := x509.ParseCertificateRequest(op.CSR)
	if err != nil {
		t.Fatal(err)
	}
	if "CN="+csr.Subject.CommonName != op.Policy.X509.Subject || !strings.HasPrefix(csr.PublicKeyAlgorithm.String(), map[string]string{"RSA": "RSA", "EC": "ECDSA"}[op.Policy.Key.Type]) {
		t.Errorf("the policy asks for %s with a key of type %s, the CSR for %s with one of %s", op.Policy.X509.Subject, op.Policy.Key.Type, csr.Subject, csr.PublicKeyAlgorithm)
	}
}

// TestRetryOfARenewalIsOne: an operator's retry of a renewal is a renewal, so that the
// vault goes on renewing when it fails.
func TestRetryOfARenewalIsOne(t *testing.T) {
	t.Parallel()
	h, ca := newRenewing(t, 90*day)
	first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	ca.fail = "no"
	h.until(first.Attributes.NotBefore.Add(74 * day))
	if op := h.mustOperation("web"); op.Status != vault.StatusFailed || !op.Renewal {
		t.Fatalf("the renewal is %s", op.Status)
	}
	if e, err := h.RetryOperation(t.Context(), name(t, "web"), "", ""); err != nil || !e.Renewal {
		t.Errorf("the retry is %+v, %v", e, err)
	}
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusFailed || !op.Renewal {
		t.Fatalf("the retry is %s, a renewal: %t", op.Status, op.Renewal)
	}
	// Of a person's request a week would be left to merge a certificate.
	ca.fail = ""
	h.until(h.clock.Now().Add(2 * day))
	if h.mustCertificate("web").Version == first.Version {
		t.Error("two days later it is not renewed")
	}
}
