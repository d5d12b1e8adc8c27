package vault_test

// Imports.

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// existing is a certificate that was made elsewhere, with its key and chain.
type existing struct {
	key   crypto.Signer
	chain []*x509.Certificate // leaf first
}

// newExisting makes one that is valid for a month, counted from a time.
func newExisting(t testing.TB, properties policy.KeyProperties, from time.Time) existing {
	t.Helper()
	key, err := pooledKey(properties)
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := pooledKey(policy.KeyProperties{Type: policy.KeyEC, Curve: "P-256"})
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: from, NotAfter: from.AddDate(1, 0, 0),
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "example.com", Country: []string{"CH"}}, DNSNames: []string{"example.com"},
		NotBefore: from, NotAfter: from.AddDate(0, 1, 0),
	}
	e := existing{key: key}
	for _, c := range []struct {
		template *x509.Certificate
		pub      crypto.PublicKey
	}{{leaf, key.Public()}, {ca, caKey.Public()}} {
		der, err := x509.CreateCertificate(rand.Reader, c.template, ca, c.pub, caKey)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		e.chain = append(e.chain, cert)
	}
	return e
}

// selfSigned makes one that has no other issuer.
func selfSigned(t testing.TB, commonName string, from time.Time) existing {
	t.Helper()
	key, err := pooledKey(ecP256)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: commonName},
		NotBefore: from, NotAfter: from.AddDate(0, 1, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return existing{key, []*x509.Certificate{cert}}
}

var ecP256 = policy.KeyProperties{Type: policy.KeyEC, Curve: "P-256"}

// pfx is the certificate as an import sends it.
func (e existing) pfx(t testing.TB) string {
	t.Helper()
	der, err := pkcs12.Modern2023.WithIterations(1).Encode(e.key, e.chain[0], e.chain[1:], "")
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// pem is the same in PEM, the certificates in the given order.
func (e existing) pem(t testing.TB, certs ...*x509.Certificate) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(e.key)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, c := range certs {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return b.String()
}

func (h *harness) mustImport(n string, p vault.ImportParams) vault.Certificate {
	h.t.Helper()
	c, err := h.Import(context.Background(), name(h.t, n), p)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func TestImport(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	e := newExisting(t, ecP256, h.clock.Now().Add(-time.Hour))
	tags := map[string]string{"a": "1"}
	got := h.mustImport("Web", vault.ImportParams{Value: e.pfx(t), Tags: tags})
	if got.Name != "Web" || !got.Attributes.Enabled || got.Pending || got.Tags["a"] != "1" || got.ContentType != policy.ContentPKCS12 {
		t.Errorf("imported %+v", got)
	}
	if string(got.Leaf) != string(e.chain[0].Raw) || !got.Attributes.NotBefore.Equal(e.chain[0].NotBefore) || !got.Attributes.Expires.Equal(e.chain[0].NotAfter) {
		t.Errorf("imported a leaf valid from %v to %v", got.Attributes.NotBefore, got.Attributes.Expires)
	}
	if p := got.Policy; p == nil || p.X509.Subject != "CN=example.com, C=CH" || p.Issuer.Name != policy.IssuerUnknown || p.Key.Curve != "P-256" {
		t.Errorf("policy %+v", p)
	}
	if versions, _, err := h.Versions(ctx, name(t, "web"), vault.Page{Max: 25}); err != nil || len(versions) != 1 || versions[0].Version != got.Version {
		t.Errorf("versions %v, %v", versions, err)
	}
	if _, err := h.Operation(ctx, name(t, "web"), ""); reason(t, err) != vault.OperationNotFound {
		t.Errorf("operation of an import: %v", err)
	}
}

// TestImportOverExisting: an import is the next version, and its policy the new
// one.
func TestImportOverExisting(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	first := h.mustSelf("web")
	if !first.Pending {
		t.Fatal("no pending object is left of the first version")
	}
	e := newExisting(t, ecP256, h.clock.Now())
	got := h.mustImport("web", vault.ImportParams{Value: e.pem(t, e.chain...), Attributes: vault.AttributeParams{Enabled: new(false)}})
	if got.Version == first.Version || got.Attributes.Enabled || got.Pending || got.ContentType != policy.ContentPEM {
		t.Errorf("imported %+v", got)
	}
	if p := got.Policy; !p.Created.Equal(first.Policy.Created) || p.Updated.Unix() <= first.Policy.Updated.Unix() || p.Key.Type != policy.KeyEC {
		t.Errorf("policy %+v, before it %+v", p, first.Policy)
	}
	if _, err := h.CertificateVersion(context.Background(), name(t, "web"), first.Version); err != nil {
		t.Errorf("the version before: %v", err)
	}
}

// TestImportEndsOperation: an operation that has ended goes away with its key.
func TestImportEndsOperation(t *testing.T) {
	t.Parallel()
	for _, status := range []vault.Status{vault.StatusFailed, vault.StatusCancelled} {
		h := newHarness(t, nil)
		ctx := context.Background()
		h.mustScript("ca", "reject=no")
		h.mustCreate("web", "ca")
		if status == vault.StatusCancelled {
			if _, err := h.Cancel(ctx, name(t, "web"), "", true); err != nil {
				t.Fatal(err)
			}
		}
		h.mustTick()
		if op := h.mustOperation("web"); op.Status != status {
			t.Fatalf("operation is %s, want %s", op.Status, status)
		}
		e := newExisting(t, ecP256, h.clock.Now())
		if c := h.mustImport("web", vault.ImportParams{Value: e.pfx(t)}); c.Pending {
			t.Errorf("%s: the operation is still there", status)
		}
		keys := 0
		for _, r := range h.store.Contents().Rows {
			if strings.HasPrefix(r.Key, "k:") {
				keys++
			}
		}
		if keys != 1 {
			t.Errorf("%s: %d keys are kept, want that of the import", status, keys)
		}
	}
}

func TestImportRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	e := newExisting(t, ecP256, h.clock.Now())
	value := e.pfx(t)
	h.mustCreate("pending", "Unknown")
	h.mustSelf("deleted")
	if _, err := h.Delete(ctx, name(t, "deleted")); err != nil {
		t.Fatal(err)
	}
	old := newExisting(t, ecP256, h.clock.Now().AddDate(0, -2, 0))
	before := h.store.Contents()
	for _, c := range []struct {
		what, name string
		params     vault.ImportParams
		want       vault.Reason
		detail     string
	}{
		{"while an operation is in progress", "pending", vault.ImportParams{Value: value}, vault.OperationInProgress, ""},
		{"over a deleted certificate", "deleted", vault.ImportParams{Value: value}, vault.DeletedButRecoverable, ""},
		{"an expired certificate", "web", vault.ImportParams{Value: old.pfx(t)}, vault.BadParameter, "The specified X.509 certificate content is invalid. Error: One or more X.509 properties are invalid. The certificate expired at 2026-02-01T12:00:02Z."},
		{"tags", "web", vault.ImportParams{Value: value, Tags: map[string]string{"": ""}}, vault.BadParameter, ""},
		{"a policy", "web", vault.ImportParams{Value: value, Policy: &policy.Params{ContentType: new("text/plain")}}, vault.BadParameter, ""},
		{"another key", "web", vault.ImportParams{Value: old.pem(t, e.chain...)}, vault.BadParameter, ""},
	} {
		_, err := h.Import(ctx, name(t, c.name), c.params)
		if reason(t, err) != c.want || c.detail != "" && detail(err) != c.detail {
			t.Errorf("%s: %v, want reason %d", c.what, err, c.want)
		}
	}
	if after := h.store.Contents(); len(after.Rows) != len(before.Rows) || len(after.Blobs) != len(before.Blobs) {
		t.Errorf("%d rows and %d blobs became %d and %d", len(before.Rows), len(before.Blobs), len(after.Rows), len(after.Blobs))
	}
}

// TestImportPreservesOrder: the chain follows the leaf as it was sent.
func TestImportPreservesOrder(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	e := newExisting(t, ecP256, h.clock.Now())
	other := selfSigned(t, "Another CA", h.clock.Now()).chain[0]
	value := e.pem(t, other, e.chain[1], e.chain[0])
	for _, preserve := range []bool{false, true} {
		c := h.mustImport("web", vault.ImportParams{Value: value, PreserveOrder: &preserve})
		if c.PreserveOrder == nil || *c.PreserveOrder != preserve {
			t.Errorf("preserveCertOrder is %v, want %v", c.PreserveOrder, preserve)
		}
		block, rest := pem.Decode(h.store.Contents().Blobs["web/"+c.Version+".pem"])
		second, _ := pem.Decode(rest)
		want := map[bool]*x509.Certificate{false: e.chain[1], true: other}[preserve]
		if string(block.Bytes) != string(e.chain[0].Raw) || string(second.Bytes) != string(want.Raw) {
			t.Errorf("preserve %v: the chain has another order", preserve)
		}
	}
}

// TestCreateAfterImport: the policy of an import makes the next version, unless
// its subject cannot be asked for.
func TestCreateAfterImport(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	e := newExisting(t, ecP256, h.clock.Now())
	h.mustImport("web", vault.ImportParams{Value: e.pfx(t), Policy: &policy.Params{Issuer: &policy.IssuerParams{Name: new("Self")}}})
	if _, err := h.Create(ctx, name(t, "web"), vault.CreateParams{}); err != nil {
		t.Error(err)
	}
	long := selfSigned(t, strings.Repeat("long", 150), h.clock.Now())
	h.mustImport("long", vault.ImportParams{Value: long.pem(t, long.chain[0])})
	if _, err := h.Create(ctx, name(t, "long"), vault.CreateParams{}); reason(t, err) != vault.BadParameter {
		t.Errorf("create with a common name of 600 characters: %v, want BadParameter", err)
	}
}

// TestImportKilled: wherever an import is killed, the certificate is there as a
// whole or not at all, and the next import goes through.
func TestImportKilled(t *testing.T) {
	t.Parallel()
	e := newExisting(t, ecP256, newClock().Now())
	n, p := name(t, "web"), vault.ImportParams{Value: e.pfx(t)}
	report := killAnywhere(t, func(ctx context.Context, v *vault.Vault) error {
		return second(v.Import(ctx, n, p))
	}, func(store *memory.Store, clock *clock) error {
		v := open(t, store, clock, nil)
		if _, err := v.Import(t.Context(), n, p); err != nil {
			return err
		}
		return second(v.Certificate(t.Context(), n))
	})
	if report.MaxCalls != 3 {
		t.Errorf("an import takes %d calls", report.MaxCalls)
	}
}

// TestImportOddNames: a certificate whose alternative names crypto/x509 does not
// take is imported and shown, and a new version of it is refused, not left to fail.
func TestImportOddNames(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	key, err := pooledKey(ecP256)
	if err != nil {
		t.Fatal(err)
	}
	from := h.clock.Now()
	value := append([]byte{0x30, 15, 0x82, 13}, "b\xc3\xbccher.test."...)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "odd"}, NotBefore: from, NotAfter: from.AddDate(0, 1, 0),
		ExtraExtensions: []pkix.Extension{{Id: policy.OIDSubjectAltName, Value: value}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	c := h.mustImport("odd", vault.ImportParams{Value: string(text)})
	if got := c.Policy.X509.SANs; got == nil || len(got.DNSNames) != 1 || got.DNSNames[0] != "b\u00fccher.test." {
		t.Errorf("alternative names %+v", got)
	}
	if _, err := h.Key(t.Context(), name(t, "odd"), ""); err != nil {
		t.Error(err)
	}
	h.mustSecret("odd", "")
	blob := h.mustBackup("odd")
	h.mustDestroy("odd")
	if _, err := h.Restore(t.Context(), blob); err != nil {
		t.Error(err)
	}
	if _, err := h.Create(t.Context(), name(t, "odd"), vault.CreateParams{}); reason(t, err) != vault.BadParameter {
		t.Errorf("a new version: %v, want BadParameter", err)
	}
}
