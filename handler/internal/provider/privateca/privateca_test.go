package privateca_test

// Certificates that are signed: twice, late, by another CA, after failures.

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
	"github.com/certwright/certwright/handler/internal/vault"
)

// The serial number is known before anything is signed, and what is signed then
// is one certificate, however often and by whomever.
func TestStepTwice(t *testing.T) {
	t.Parallel()
	root := newCA(t, nil, ecKey(t, elliptic.P384()), nil)
	for name, key := range map[string]crypto.Signer{
		"P-256": ecKey(t, elliptic.P256()), "P-521": ecKey(t, elliptic.P521()), "RSA": rsaKey(),
	} {
		c := newCA(t, root, key, nil)
		req := webRequest(t)
		state, out := issuer(t, c.config()).Step(t.Context(), req, nil)
		if diff := cmp.Diff(provider.OutcomePending, out.Kind); diff != "" || !out.Until.IsZero() || c.opens.Load() != 0 {
			t.Fatalf("%s: %s, key opened %d times", name, brief(out), c.opens.Load())
		}
		chains := make([][][]byte, 8)
		var wg sync.WaitGroup
		for n := range chains {
			wg.Go(func() { // another process each
				next, out := issuer(t, c.config()).Step(t.Context(), req, state)
				if out.Kind != provider.OutcomeIssued || !bytes.Equal(next, state) {
					t.Errorf("%s: %s, state %s", name, brief(out), next)
				}
				chains[n] = out.Chain
			})
		}
		wg.Wait()
		for _, chain := range chains[1:] {
			if diff := cmp.Diff(chains[0], chain); diff != "" {
				t.Errorf("%s: two certificates", name)
			}
		}
		leaf := issued(t, provider.Issued(chains[0]))
		if serial := leaf.SerialNumber.Text(16); len(serial) != 32 || !strings.Contains(out.Detail, serial) {
			t.Errorf("%s: serial number %s, the step before said %q", name, serial, out.Detail)
		}
		if !bytes.Equal(chains[0][1], c.chain[0].Raw) || !bytes.Equal(chains[0][2], root.chain[0].Raw) || len(chains[0]) != 3 {
			t.Errorf("%s: the CA's chain does not follow", name)
		}
		// Before the state was saved, nothing had happened.
		again, out := issuer(t, c.config()).Step(t.Context(), req, nil)
		if out.Kind != provider.OutcomePending || bytes.Equal(again, state) {
			t.Errorf("%s: %s, state %s", name, brief(out), again)
		}
	}
}

// A state belongs to the CA that it was drawn for.
func TestAnotherCA(t *testing.T) {
	t.Parallel()
	old, renewed := newPair(t), newPair(t)
	req := webRequest(t)
	state, _ := issuer(t, old.config()).Step(t.Context(), req, nil)
	next, out := issuer(t, renewed.config()).Step(t.Context(), req, state)
	if out.Kind != provider.OutcomePending || bytes.Equal(next, state) || renewed.opens.Load() != 0 {
		t.Fatalf("%s, state %s", brief(out), next)
	}
	if _, out := issuer(t, renewed.config()).Step(t.Context(), req, next); out.Kind != provider.OutcomeIssued {
		t.Error(brief(out))
	}
}

// A state whose certificate would have expired is drawn anew.
func TestLateSignature(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	cfg := c.config()
	cfg.Profile.MaxValidity = time.Hour
	req := webRequest(t)
	state, _ := issuer(t, cfg).Step(t.Context(), req, nil)
	cfg.Now = func() time.Time { return start.Add(59 * time.Minute) }
	if leaf := issued(t, second(t, issuer(t, cfg), req, state)); !leaf.NotAfter.Equal(start.Add(time.Hour)) {
		t.Errorf("valid until %s", leaf.NotAfter)
	}
	cfg.Now = func() time.Time { return start.Add(time.Hour) }
	next, out := issuer(t, cfg).Step(t.Context(), req, state)
	if out.Kind != provider.OutcomePending || bytes.Equal(next, state) {
		t.Fatalf("%s, state %s", brief(out), next)
	}
	if leaf := issued(t, second(t, issuer(t, cfg), req, next)); !leaf.NotAfter.Equal(start.Add(2 * time.Hour)) {
		t.Errorf("valid until %s", leaf.NotAfter)
	}
}

func TestOpenSSL(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	cfg := c.config()
	cfg.Profile = privateca.Profile{
		CRLURLs:    []string{"http://ca.contoso.com/ca.crl"},
		IssuerURLs: []string{"http://ca.contoso.com/ca.cer"},
	}
	leaf := issued(t, run(t, issuer(t, cfg), request(t, policy.X509Params{
		Subject: new(`CN=www.contoso.com, O="Contoso, Ltd."`),
		SANs: &policy.SANs{
			DNSNames: []string{"www.contoso.com", "*.contoso.com"}, Emails: []string{"ada@contoso.com"}, UPNs: []string{"ada@contoso.com"},
			URIs: []string{"spiffe://contoso.com/a"}, IPAddresses: []string{"192.0.2.1"},
		},
		KeyUsage: []string{"digitalSignature", "keyEncipherment", "keyCertSign", "cRLSign"}, // as the az CLI asks
	}, policy.KeyParams{Type: new("RSA"), Size: new(2048)})))
	file, roots, between := writePEM(t, "CERTIFICATE", leaf.Raw), writePEM(t, "CERTIFICATE", c.chain[1].Raw), writePEM(t, "CERTIFICATE", c.chain[0].Raw)
	if text, err := openssl(t, "verify", "-x509_strict", "-attime", "1772366400", "-purpose", "sslserver", "-CAfile", roots, "-untrusted", between, file); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	text, err := openssl(t, "x509", "-noout", "-text", "-in", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"Issuer: O = Contoso, CN = Issuing CA\n",
		"Subject: O = \"Contoso, Ltd.\", CN = www.contoso.com\n",
		"Not Before: Mar  1 11:50:00 2026 GMT\n",
		"Not After : Mar  1 12:00:00 2027 GMT\n",
		"X509v3 Key Usage: critical\nDigital Signature, Key Encipherment\n",
		"X509v3 Extended Key Usage:\nTLS Web Server Authentication, TLS Web Client Authentication\n",
		"X509v3 Basic Constraints: critical\nCA:FALSE\n",
		"CA Issuers - URI:http://ca.contoso.com/ca.cer\n",
		"URI:http://ca.contoso.com/ca.crl\n",
		"email:ada@contoso.com, DNS:www.contoso.com, DNS:*.contoso.com, othername: UPN::ada@contoso.com, URI:spiffe://contoso.com/a, IP Address:192.0.2.1\n",
		"X509v3 Authority Key Identifier:\n",
		"X509v3 Subject Key Identifier:\n",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

func TestValidity(t *testing.T) {
	t.Parallel()
	year := start.AddDate(1, 0, 0)
	for name, c := range map[string]struct {
		ca                  func(*x509.Certificate)
		longest             time.Duration
		notBefore, notAfter time.Time
	}{
		"policy's":      {nil, 0, start.Add(-10 * time.Minute), year},
		"profile's":     {nil, 24 * time.Hour, start.Add(-10 * time.Minute), start.Add(24 * time.Hour)},
		"CA's":          {func(c *x509.Certificate) { c.NotAfter = start.Add(time.Hour) }, 0, start.Add(-10 * time.Minute), start.Add(time.Hour)},
		"of a young CA": {func(c *x509.Certificate) { c.NotBefore = start.Add(-time.Minute) }, 0, start.Add(-time.Minute), year},
	} {
		for _, above := range []bool{false, true} {
			changes := []func(*x509.Certificate){c.ca, nil}
			if above {
				changes = []func(*x509.Certificate){nil, c.ca}
			}
			authority := newCA(t, newCA(t, nil, ecKey(t, elliptic.P256()), changes[1]), ecKey(t, elliptic.P256()), changes[0])
			cfg := authority.config()
			cfg.Profile.MaxValidity = c.longest
			leaf := issued(t, run(t, issuer(t, cfg), webRequest(t)))
			if !leaf.NotBefore.Equal(c.notBefore) || !leaf.NotAfter.Equal(c.notAfter) {
				t.Errorf("%s, root's %t: from %s to %s", name, above, leaf.NotBefore, leaf.NotAfter)
			}
		}
	}
}

func TestCAOutOfTime(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*x509.Certificate){
		"expired":   func(c *x509.Certificate) { c.NotAfter = start.Add(-time.Second) },
		"too early": func(c *x509.Certificate) { c.NotBefore = start.Add(time.Second) },
	} {
		for _, above := range []bool{false, true} {
			changes := []func(*x509.Certificate){change, nil}
			if above {
				changes = []func(*x509.Certificate){nil, change}
			}
			c := newCA(t, newCA(t, nil, ecKey(t, elliptic.P256()), changes[1]), ecKey(t, elliptic.P256()), changes[0])
			i, req := issuer(t, c.config()), webRequest(t)
			const want = "the CA's certificates are valid from "
			wantRefusal(t, name, i.CheckPolicy(provider.Issuer{}, req.Policy), "policy.issuer.name", want)
			if out := run(t, i, req); out.Kind != provider.OutcomeFailed || out.Code != provider.CodeRejected || !strings.Contains(out.Message, want) {
				t.Errorf("%s: %s", name, brief(out))
			}
			if n := c.opens.Load(); n != 0 {
				t.Errorf("%s: key opened %d times", name, n)
			}
		}
	}
}

// wantRefusal checks that err is one of a field with a text.
func wantRefusal(t testing.TB, name string, err error, path, text string) {
	t.Helper()
	var refusal *field.Error
	if !errors.As(err, &refusal) || refusal.Field != path || !strings.Contains(refusal.Detail, text) {
		t.Errorf("%s: %v, want %s: %s", name, err, path, text)
	}
}

// What may pass is tried again.
func TestRetries(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	req := webRequest(t)
	state, _ := issuer(t, c.config()).Step(t.Context(), req, nil)
	for name, change := range map[string]func(*privateca.Config){
		"away": func(cfg *privateca.Config) {
			cfg.Key = func(context.Context) (crypto.Signer, error) { return nil, errors.New("the key is away") }
		},
		"another key": func(cfg *privateca.Config) {
			cfg.Key = func(context.Context) (crypto.Signer, error) { return rsaKey(), nil }
		},
		"a key that fails": func(cfg *privateca.Config) {
			cfg.Key = func(context.Context) (crypto.Signer, error) { return failing{c.key}, nil }
		},
		"a key that signs nonsense": func(cfg *privateca.Config) {
			cfg.Key = func(context.Context) (crypto.Signer, error) { return nonsense{c.key}, nil }
		},
	} {
		cfg := c.config()
		change(&cfg)
		if next, out := issuer(t, cfg).Step(t.Context(), req, state); out.Kind != provider.OutcomeRetry || !bytes.Equal(next, state) {
			t.Errorf("%s: %s", name, brief(out))
		}
	}
	cfg := c.config()
	cfg.Rand = iotest.ErrReader(errors.New("no entropy"))
	if _, out := issuer(t, cfg).Step(t.Context(), req, nil); out.Kind != provider.OutcomeRetry {
		t.Errorf("no entropy: %s", brief(out))
	}
	for _, state := range []string{`{"version":2}`, `?`} {
		if next, out := issuer(t, c.config()).Step(t.Context(), req, json.RawMessage(state)); out.Kind != provider.OutcomeRetry || string(next) != state {
			t.Errorf("state %s: %s, %s", state, brief(out), next)
		}
	}
}

type failing struct{ crypto.Signer }

func (failing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("out of order")
}

type nonsense struct{ crypto.Signer }

func (nonsense) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte{1, 2, 3}, nil
}

func TestSignaturesAreLogged(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	cfg := c.config()
	var text bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&text, nil))
	req := webRequest(t)
	leaf := issued(t, run(t, issuer(t, cfg), req))
	for _, part := range []string{"certificate signed", "serial=" + leaf.SerialNumber.Text(16), "request_id=" + req.ID, "certificate=web"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("no %q in %s", part, text.String())
		}
	}
}

// In a vault, a tick takes both steps under one claim. A poll does so only when
// the key is in the process.
func TestVault(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{"corp", "instant"} {
		c := newPair(t)
		s := newStory(t, c, privateca.Profile{})
		name, _, err := s.create(t.Context(), provider, policy.X509Params{Subject: new("CN=www.contoso.com")}, ec256)
		if err != nil {
			t.Fatal(err)
		}
		s.elapsed.Add(int64(3 * time.Second))
		op, err := s.Operation(t.Context(), name, "")
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]vault.Status{"corp": vault.StatusInProgress, "instant": vault.StatusCompleted}[provider]; op.Status != want {
			t.Errorf("%s: %s after a poll", provider, op.Status)
		}
		if _, err := s.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		if op, err = s.Operation(t.Context(), name, ""); err != nil || op.Status != vault.StatusCompleted || op.Claim != 1 || c.opens.Load() != 1 {
			t.Errorf("%s: %s, %v, %d claims, key opened %d times", provider, op.Status, err, op.Claim, c.opens.Load())
		}
	}
	s := newStory(t, newPair(t), privateca.Profile{})
	_, _, err := s.create(t.Context(), "corp", policy.X509Params{Subject: new("CN=a"), CA: new(true)}, ec256)
	wantRefusal(t, "CA", err, "policy.x509_props.basic_constraints.ca", "cannot be certified by this issuer: the CA certifies end entities only")
}
