package scripted_test

// The provider does what its script says.

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/scripted"
)

var created = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// request is an operation at an issuer with a script.
func request(t testing.TB, script string) provider.Request {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "example.com", Organization: []string{"Contoso"}},
		DNSNames: []string{"example.com", "www.example.com"},
		ExtraExtensions: []pkix.Extension{
			{Id: []int{2, 5, 29, 15}, Critical: true, Value: []byte{0x03, 0x02, 0x05, 0xa0}}, // key usage
		},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return provider.Request{
		ID:      "5f3a9c10b1e2d3c4f5a6978877665544",
		CSR:     csr,
		Created: created,
		Policy:  policy.Policy{X509: policy.X509Properties{ValidityMonths: 12}},
		Issuer:  provider.Issuer{Provider: "Test", Org: provider.OrganizationDetails{ID: script}},
	}
}

func at(d time.Duration) *scripted.Provider {
	return scripted.New(scripted.Config{Now: func() time.Time { return created.Add(d) }})
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"":                            "",
		"issue-after=30s":             "",
		"hold":                        "the script holds the revocation",
		"error=The CA is away":        "The CA is away",
		"reject=We do not revoke":     "We do not revoke: unsupported operation",
		"what is this supposed to be": "unknown word",
	} {
		err := at(0).Revoke(t.Context(), provider.Issuer{Org: provider.OrganizationDetails{ID: script}}, nil, 1)
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", script, err, want)
		}
		if errors.Is(err, errors.ErrUnsupported) != strings.HasPrefix(script, "reject") {
			t.Errorf("%q: %v is for good, or is not", script, err)
		}
	}
}

func TestStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		script string
		after  time.Duration    // from create to the step
		want   provider.Outcome // without chain
	}{
		{"", 0, provider.Issued(nil)},
		{"issue", 0, provider.Issued(nil)},
		{"hold", time.Hour, provider.Pending(created.Add(time.Hour+5*time.Second), "The script holds the request.")},
		{"issue-after=30s", 29 * time.Second, provider.Pending(created.Add(30*time.Second), "The script issues the certificate at 2026-03-01T12:00:30Z.")},
		{"issue-after=30s", 30 * time.Second, provider.Issued(nil)},
		{"ignore-cancel issue-after=30s", time.Minute, provider.Issued(nil)},
		{"reject=Name not allowed", 0, provider.Failed("Request rejected", "Name not allowed")},
		{"error=The CA is away", 0, provider.Failed("Certificate issuer error", "The CA is away")},
	} {
		i := at(c.after)
		state, got := i.Step(t.Context(), request(t, c.script), nil)
		if (len(got.Chain) > 0) != (c.want.Kind == provider.OutcomeIssued) || i.OrderID(state) != "test-5f3a9c10" {
			t.Errorf("%q: %d certificates, state %s", c.script, len(got.Chain), state)
		}
		got.Chain = nil
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.script, diff)
		}
	}
}

func TestStepFailures(t *testing.T) {
	t.Parallel()
	_, out := at(0).Step(t.Context(), request(t, "wait"), nil)
	if out.Kind != provider.OutcomeFailed || out.Code != provider.CodeIssuerError || !strings.Contains(out.Message, `"wait"`) {
		t.Errorf("unknown word: %+v", out)
	}
	req := request(t, "issue")
	req.CSR = []byte("CSR")
	if _, out := at(0).Step(t.Context(), req, nil); out.Kind != provider.OutcomeFailed || out.Code != provider.CodeIssuerError {
		t.Errorf("no CSR: %+v", out)
	}
	broken := scripted.New(scripted.Config{Rand: iotest.ErrReader(errors.New("no entropy"))})
	if _, out := broken.Step(t.Context(), request(t, "issue"), nil); out.Kind != provider.OutcomeRetry {
		t.Errorf("no entropy: %+v", out)
	}
}

// The certificate has what the CSR asks for and a chain that OpenSSL accepts.
func TestStepChain(t *testing.T) {
	t.Parallel()
	req := request(t, "issue")
	_, out := at(0).Step(t.Context(), req, nil)
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Chain) != 3 {
		t.Fatalf("%+v", out)
	}
	leaf, err := x509.ParseCertificate(out.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	if !csr.PublicKey.(*ecdsa.PublicKey).Equal(leaf.PublicKey) || !bytes.Equal(csr.RawSubject, leaf.RawSubject) {
		t.Errorf("key or subject %s is not the CSR's", leaf.Subject)
	}
	want := []pkix.Extension{csr.Extensions[1], csr.Extensions[0]} // key usage comes first
	if diff := cmp.Diff(want, leaf.Extensions[:2]); diff != "" {
		t.Errorf("extensions (-CSR +leaf):\n%s", diff)
	}
	if want := created.AddDate(1, 0, 0); !leaf.NotAfter.Equal(want) {
		t.Errorf("valid until %s, want %s", leaf.NotAfter, want)
	}
	var files []string
	for _, der := range out.Chain {
		files = append(files, t.TempDir()+"/certificate.pem")
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if err := os.WriteFile(files[len(files)-1], block, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := exec.Command("openssl", "verify", "-x509_strict", "-attime", "1772366400", "-CAfile", files[2], "-untrusted", files[1], files[0])
	if text, err := verify.CombinedOutput(); err != nil {
		t.Errorf("openssl verify: %v\n%s", err, text)
	}
	_, again := at(0).Step(t.Context(), req, nil)
	if bytes.Equal(again.Chain[2], out.Chain[2]) {
		t.Error("two certificates have the same root")
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]bool{
		"":                   true,
		"hold":               true,
		"hold ignore-cancel": false,
		"ignore-cancel":      false,
		"wait ignore-cancel": true, // cannot be followed
	} {
		state, got, err := at(0).Cancel(t.Context(), request(t, script), json.RawMessage("1"))
		if got != want || err != nil || string(state) != "1" {
			t.Errorf("%q: %t, %v, state %s", script, got, err, state)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	if err := at(0).CheckIssuer(request(t, "hold").Issuer); err != nil {
		t.Error(err)
	}
	if err := at(0).CheckIssuer(request(t, "wait").Issuer); err == nil || !strings.Contains(err.Error(), `"wait"`) {
		t.Errorf("%v", err)
	}
}
