package vault_test

// Merges.

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/policy"
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
	garbage := vault.MergeParams{X5C: []string{"MIIC"}}
	if _, err := h.Merge(ctx, n, garbage); reason(t, err) != vault.OperationNotFound {
		t.Errorf("merge of garbage without an operation: %v, want OperationNotFound", err)
	}
	op := h.mustCreate("web", "Unknown")
	if _, err := h.Merge(ctx, n, garbage); reason(t, err) != vault.BadParameter {
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

// TestMergeKeepsOrder: with preserveCertOrder the leaf comes first and the others as
// they were sent.
func TestMergeKeepsOrder(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	root := certtest.NewCA(t, "Root", nil)
	issuing := certtest.NewCA(t, "Issuing", root)
	for _, keep := range []bool{false, true} {
		op, err := h.Create(t.Context(), name(t, "web"), vault.CreateParams{
			Policy:        &policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}, Key: &policy.KeyParams{Type: new("EC")}, ContentType: new(policy.ContentPEM)},
			PreserveOrder: &keep,
		})
		if err != nil {
			t.Fatal(err)
		}
		csr, err := x509.ParseCertificateRequest(op.CSR)
		if err != nil {
			t.Fatal(err)
		}
		leaf := issuing.Issue(t, certtest.Leaf("example.com"), csr.PublicKey)
		var x5c []string
		for _, c := range []*x509.Certificate{root.Cert, leaf, issuing.Cert} {
			x5c = append(x5c, base64.StdEncoding.EncodeToString(c.Raw))
		}
		if _, err := h.Merge(t.Context(), name(t, "web"), vault.MergeParams{X5C: x5c}); err != nil {
			t.Fatal(err)
		}
		want := existing{chain: []*x509.Certificate{leaf, issuing.Cert, root.Cert}}
		if keep {
			want.chain = []*x509.Certificate{leaf, root.Cert, issuing.Cert}
		}
		got := parsePEM(t, string(h.mustSecret("web", "").Value))
		existing{chain: want.chain}.check(t, fmt.Sprintf("preserveCertOrder %t", keep), existing{chain: got.chain})
	}
}

// TestMergeKeepsOddCertificates: of a chain's members, those with a key that this
// vault cannot read are kept as they are, and a leaf may have a negative serial
// number.
func TestMergeKeepsOddCertificates(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	op := h.mustCreate("web", "Unknown")
	leaf, err := base64.StdEncoding.DecodeString(signed(t, op.CSR, 0x11223344))
	if err != nil {
		t.Fatal(err)
	}
	leaf[bytes.Index(leaf, []byte{2, 4, 0x11, 0x22, 0x33, 0x44})+2] = 0x91 // its signature is the caller's business
	odd := certtest.OpenSSL(t, nil, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1",
		"-nodes", "-keyout", "/dev/null", "-subj", "/CN=odd", "-outform", "DER")
	x5c := []string{base64.StdEncoding.EncodeToString(leaf), base64.StdEncoding.EncodeToString(odd)}
	merged, err := h.Merge(t.Context(), name(t, "web"), vault.MergeParams{X5C: x5c})
	if err != nil || !bytes.Equal(merged.Leaf, leaf) {
		t.Fatal(err)
	}
	s, err := h.Secret(t.Context(), name(t, "web"), "", new(policy.ContentPEM))
	if err != nil || !bytes.Contains(s.Value, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: odd})) {
		t.Errorf("the secret lacks the odd certificate: %v", err)
	}
	if _, err := h.Key(t.Context(), name(t, "web"), ""); err != nil {
		t.Error(err)
	}
}
