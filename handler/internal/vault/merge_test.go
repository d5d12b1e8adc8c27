package vault_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

// signed is a certificate that a CA somewhere made from a CSR: base64 of DER.
func signed(t testing.TB, csr []byte, serial int64) string {
	t.Helper()
	req, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sign(t, req.PublicKey, caKey, serial))
}

func sign(t testing.TB, pub any, caKey crypto.Signer, serial int64) []byte {
	t.Helper()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "example.com"},
		NotBefore:    time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, pub, caKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestMerge(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), name(t, "web")
	if _, err := h.Merge(ctx, n, vault.MergeParams{X5C: []string{"MIIC"}}); reason(t, err) != vault.OperationNotFound {
		t.Errorf("merge of garbage without an operation: %v, want OperationNotFound", err)
	}
	op := h.mustCreate("web", "Unknown")
	if _, err := h.Merge(ctx, n, vault.MergeParams{X5C: []string{"MIIC"}}); reason(t, err) != vault.BadParameter {
		t.Errorf("merge of garbage: %v, want BadParameter", err)
	}
	x5c := []string{signed(t, op.CSR, 7)}
	disabled := false
	cert, err := h.Merge(ctx, n, vault.MergeParams{X5C: x5c, Tags: map[string]string{"a": "b"}, Attributes: vault.AttributeParams{Enabled: &disabled}})
	if err != nil {
		t.Fatal(err)
	}
	if base64.StdEncoding.EncodeToString(cert.Leaf) != x5c[0] || cert.Tags["a"] != "b" || cert.Attributes.Enabled || !cert.Pending || cert.Policy == nil {
		t.Errorf("merged certificate is %+v", cert)
	}
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted {
		t.Errorf("operation is %s after the merge", op.Status)
	}
	if _, err := h.Merge(ctx, n, vault.MergeParams{X5C: x5c}); reason(t, err) != vault.BadParameter {
		t.Errorf("merging again: %v, want BadParameter", err)
	}
	if _, err := h.Merge(ctx, name(t, "none"), vault.MergeParams{X5C: x5c}); reason(t, err) != vault.OperationNotFound {
		t.Errorf("merge without an operation: %v, want OperationNotFound", err)
	}
}

func TestMergeOfAnotherKeyChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustCreate("web", "Unknown")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(h.store.Contents())
	x5c := []string{base64.StdEncoding.EncodeToString(sign(t, key.Public(), key, 3))}
	if _, err := h.Merge(context.Background(), name(t, "web"), vault.MergeParams{X5C: x5c}); reason(t, err) != vault.BadParameter {
		t.Errorf("merge of another key's certificate: %v, want BadParameter", err)
	}
	if after := fmt.Sprint(h.store.Contents()); after != before {
		t.Error("the refused merge changed the store")
	}
}

func TestMergeWhileAnIssuerWorks(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "hold")
	ctx, n := context.Background(), name(t, "web")
	op := h.mustCreate("web", "ca")
	x5c := []string{signed(t, op.CSR, 7)}
	_, err := h.Merge(ctx, n, vault.MergeParams{X5C: x5c})
	if reason(t, err) != vault.MergeForbidden || err.(*vault.Error).Issuer != "ca" {
		t.Errorf("merge while the issuer works: %v, want MergeForbidden by ca", err)
	}
	h.mustScript("ca", "reject=later")
	h.clock.Advance(time.Minute)
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusFailed {
		t.Fatalf("operation is %s", op.Status)
	}
	if _, err := h.Merge(ctx, n, vault.MergeParams{X5C: x5c}); err != nil {
		t.Errorf("merge after the request was rejected: %v", err)
	}
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted || op.Error != nil {
		t.Errorf("operation is %s, error %v", op.Status, op.Error)
	}
}
