package acme_test

// Answers that a CA should not give, put into Pebble's.

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/scripts/localcloud/pebble"
)

// rewritten has a server whose answers to paths with a prefix are changed.
func rewritten(t *testing.T, server *pebble.Server, prefix string, change func(body string) string) *setup {
	s := newSetup(t, server)
	between := &faults{rewrite: func(path, body string) string {
		if strings.HasPrefix(path, prefix) {
			return change(body)
		}
		return body
	}}
	s.cfg.Directory.URL = between.front(t, server)
	return s
}

// Paths of Pebble.
const (
	directoryPath     = "/dir"
	orderPath         = "/my-order/"
	finalizePath      = "/finalize-order/"
	authorizationPath = "/authZ/"
	certificatePath   = "/certZ/"
)

// replace changes a pattern, a limited number of times when times is not 0.
func replace(pattern, with string, times int32) func(string) string {
	re := regexp.MustCompile(pattern)
	var done atomic.Int32
	return func(body string) string {
		if !re.MatchString(body) || times > 0 && done.Add(1) > times {
			return body
		}
		return re.ReplaceAllString(body, with)
	}
}

func TestOnlyDNS01WithoutAZone(t *testing.T) {
	t.Parallel()
	s := rewritten(t, quick, authorizationPath, replace("dns-persist-01", "dns-future-01", 0))
	s.request("*.outside.test").failure(provider.CodeIssuerError, "*.outside.test cannot be proven to",
		"no configured zone (blocked.test, delegated.test, example.test) holds _acme-challenge.outside.test")
	s.dns.Hooks = nil
	s.request("*.outside.test").failure(provider.CodeIssuerError, "(there is none)")
}

func TestTokenThatIsNone(t *testing.T) {
	t.Parallel()
	s := rewritten(t, quick, authorizationPath, replace(`"token": "`, `"token": "../`, 0))
	s.cfg.Tokens = tokens()
	s.request("token.test").failure(provider.CodeIssuerError, "a token of the wrong form", "../")
}

func TestProfilesThatAreNotOffered(t *testing.T) {
	t.Parallel()
	s := rewritten(t, quick, directoryPath, replace(`"profiles"`, `"other"`, 0))
	o := s.request("no-profiles.example.test")
	o.req.Policy.Issuer.CertificateType = "default"
	o.failure(provider.CodeIssuerError, "offers no profiles", `"default"`)
}

func TestReplacementIsToldToCAsThatAskOnly(t *testing.T) {
	t.Parallel()
	s := rewritten(t, quick, directoryPath, replace(`"renewalInfo"`, `"other"`, 0))
	o := s.request("untold.example.test")
	o.req.Predecessor = newSetup(t, difficult).request("untold.example.test").issue()[0].Raw // would be refused
	o.issue()
	if strings.Contains(string(o.state), `"unlinked":true`) {
		t.Error("the CA was told")
	}
}

func TestOrderStatuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, path, pattern, with string
		times                     int32
		kind                      provider.OutcomeKind // of the step that sees it
		text                      string
	}{
		{"late ready", orderPath, `"ready"`, `"pending"`, 2, provider.OutcomePending, "All names are proven"},
		{"long processing", orderPath, `"valid"`, `"processing"`, 4, provider.OutcomePending, "The CA makes the certificate."},
		{"valid at once", finalizePath, `"processing"`, `"valid"`, 0, provider.OutcomePending, "The order is finalized."},
		{"unknown", orderPath, `"(pending|ready)"`, `"paused"`, 1, provider.OutcomeRetry, `unknown status "paused"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := rewritten(t, quick, test.path, replace(test.pattern, test.with, test.times)).request(label(test.name) + ".status.example.test")
			out, ok := o.until(func(out provider.Outcome) bool { return strings.Contains(out.Detail, test.text) })
			if !ok || out.Kind != test.kind {
				t.Errorf("%s: %s", out.Kind, out.Detail+out.Message)
			}
			o.issue()
		})
	}
}

func TestOrderWithAnError(t *testing.T) {
	t.Parallel()
	const failed = `"status": "invalid", "error": {"type": "urn:ietf:params:acme:error:caa", "detail": "a CAA record forbids it", "status": 403}`
	s := rewritten(t, quick, orderPath, replace(`"status": "[a-z]+"`, failed, 0))
	s.request("caa.example.test").failure(provider.CodeRejected, "gave the order up: caa: a CAA record forbids it")
}

func TestInvalidAuthorizationOfAPendingOrder(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ pattern, with, want string }{
		"with its error":    {"nothing", "", "could not validate invalid.example.test by dns-01: unauthorized"},
		"without any error": {`"error"`, `"other"`, "could not validate invalid.example.test."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, quick)
			authorization := replace(test.pattern, test.with, 0)
			order := replace(`"status": "invalid",\s+"error": \{[^}]*\}`, `"status": "pending"`, 0)
			between := &faults{rewrite: func(path, body string) string {
				switch {
				case strings.HasPrefix(path, orderPath):
					return order(body)
				case strings.HasPrefix(path, authorizationPath):
					return authorization(body)
				default:
					return body
				}
			}}
			s.cfg.Directory.URL = between.front(t, quick)
			s.hook.set(func(h *hook) { h.deaf = true })
			s.request("invalid.example.test").failure(provider.CodeRejected, test.want)
		})
	}
}

func TestChainsThatAreNone(t *testing.T) {
	t.Parallel()
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))
	for name, change := range map[string]func(string) string{
		"no PEM":      func(string) string { return "certificate" },
		"a key":       func(body string) string { return body + key },
		"broken":      func(body string) string { return body + strings.ReplaceAll(key, "PRIVATE KEY", "CERTIFICATE") },
		"too long":    func(body string) string { return strings.Repeat(body, 5) },
		"another end": func(body string) string { return body + "text" }, // is none of it
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := rewritten(t, quick, certificatePath, change).request(label(name) + ".chain.example.test")
			out, ok := o.until(func(out provider.Outcome) bool { return out.Kind == provider.OutcomeRetry })
			switch {
			case name == "another end":
				o.issued(out)
			case !ok || !strings.Contains(out.Detail, "downloading the certificate"):
				t.Errorf("%s: %s", out.Kind, out.Detail+out.Message)
			}
		})
	}
}

// TestDownloadIsNeverRefused: a certificate that exists is not given up because
// of an answer, not even one that refuses.
func TestDownloadIsNeverRefused(t *testing.T) {
	t.Parallel()
	theirs := newSetup(t, quick).request("not-mine.example.test").issue()[0]
	var healed atomic.Bool
	elsewhere := replace("/certZ/[0-9a-f]+", fmt.Sprintf("/certZ/%x", theirs.SerialNumber.Bytes()), 0)
	s := rewritten(t, quick, orderPath, func(body string) string {
		if healed.Load() {
			return body
		}
		return elsewhere(body)
	})
	o := s.request("refused.example.test")
	out, ok := o.until(func(out provider.Outcome) bool { return out.Kind == provider.OutcomeRetry })
	if !ok || !strings.Contains(out.Detail, "does not own certificate") {
		t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	healed.Store(true)
	o.issue()
}

func TestRenewalInfoIsNotAskedForWithTheCertificate(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	between := &faults{next: func(_ int, r *http.Request) fault {
		if strings.Contains(r.URL.Path, "renewalInfo") {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		return none
	}}
	s.cfg.Directory.URL = between.front(t, quick)
	s.request("unasked.example.test").issue()
}

func TestTokensFail(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	var broken atomic.Bool
	broken.Store(true)
	away := func() error {
		if broken.Load() {
			return errors.New("storage is away")
		}
		return nil
	}
	s.cfg.Tokens = tokens()
	s.cfg.Tokens.Put = func(ctx context.Context, token, content string) error {
		return errors.Join(away(), challenges.AddHTTP01(ctx, token, content))
	}
	s.cfg.Tokens.Remove = func(ctx context.Context, token string) error {
		return errors.Join(away(), challenges.RemoveHTTP01(ctx, token))
	}
	o := s.request("tokens-fail.test")
	out, ok := o.until(func(out provider.Outcome) bool { return out.Kind == provider.OutcomeRetry })
	if !ok || !strings.Contains(out.Detail, "publishing a token: storage is away") {
		t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	if err := o.provider.Release(t.Context(), o.req, o.state); err == nil || !strings.Contains(err.Error(), "withdrawing a token: storage is away") {
		t.Errorf("released: %v", err)
	}
	without := *s
	without.cfg.Tokens.Put, without.cfg.Tokens.Remove = nil, nil
	if err := without.provider().Release(t.Context(), o.req, o.state); err == nil || !strings.Contains(err.Error(), "not configured any more") {
		t.Errorf("released without tokens: %v", err)
	}
	broken.Store(false)
	s.request("tokens-fail.test").issue()
}

func TestReleaseWhileTheCAIsAway(t *testing.T) {
	t.Parallel()
	server := startPebble(t, pebble.Config{})
	s := newSetup(t, server)
	o := s.request("away.example.test")
	o.until(publishedAt("_acme-challenge.away.example.test"))
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := o.provider.Release(t.Context(), o.req, o.state); err == nil {
		t.Error("released")
	}
	s.noneLeft()
}

func TestSubject(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	s.cfg.Tokens = tokens()
	o := s.request()
	o.sign(&x509.CertificateRequest{
		Subject:     pkix.Name{Organization: []string{"Contoso"}, CommonName: "127.0.0.1"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	o.issue()
	for _, cn := range []string{"host", "a b.example.test", strings.Repeat("x.", 130) + "test", "fe80::1%eth0"} {
		s.request("a.example.test").named(cn, "a.example.test").failure(provider.CodeIssuerError, "common name")
	}
	broken := s.request("a.example.test")
	broken.req.CSR = []byte("x")
	broken.failure(provider.CodeIssuerError, "CSR cannot be read")
}

// TestJSONThatIsNone: an answer without a status tells nothing, neither that
// there is nothing to prove nor that nothing is left to be released.
func TestJSONThatIsNone(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"order": orderPath, "authorization": authorizationPath} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var garbled atomic.Bool
			s := rewritten(t, quick, path, func(body string) string {
				if garbled.Load() {
					return "null"
				}
				return body
			})
			o := s.request(label(name) + ".null.example.test")
			o.until(func(out provider.Outcome) bool { return out.Detail == "The order is placed." })
			garbled.Store(true)
			if out := o.step(); out.Kind != provider.OutcomeRetry {
				t.Errorf("%s: %s", out.Kind, out.Detail)
			}
			if err := o.provider.Release(t.Context(), o.req, o.state); err == nil {
				t.Error("released")
			}
			garbled.Store(false)
			o.issue()
		})
	}
}
