package acme_test

// Certificates from Pebble, by each way to prove a name.

import (
	"context"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/scripts/localcloud/pebble"
)

func TestWildcardAndApex(t *testing.T) {
	t.Parallel()
	s := newSetup(t, difficult)
	o := s.request("wild.example.test", "*.wild.example.test", "www.wild.example.test")
	chain := o.issue()
	root, err := difficult.Root(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := chain[len(chain)-1].CheckSignatureFrom(root); err != nil {
		t.Errorf("the chain does not lead to the first root: %v", err)
	}
	s.noneLeft()
}

func TestApexAndWildcardAreOneChange(t *testing.T) {
	t.Parallel()
	s := newSetup(t, difficult)
	o := s.request("both.example.test", "*.both.example.test")
	for len(s.hook.left()) == 0 {
		if out := o.step(); out.Kind == provider.OutcomeFailed {
			t.Fatal(out.Message)
		}
	}
	if n := len(s.hook.left()["_acme-challenge.both.example.test."]); n != 2 {
		t.Errorf("one step published %d values, want both", n)
	}
	o.issue()
	s.noneLeft()
}

func TestCommonName(t *testing.T) {
	t.Parallel()
	s := newSetup(t, difficult)
	s.request("cn.example.test").named("CN.example.test", "cn.example.test").issue()
	s.request("cn.example.test").named("Front Door", "cn.example.test").failure(provider.CodeIssuerError, "Front Door", "Leave CN out")
	s.request().failure(provider.CodeIssuerError, "neither a DNS name nor an IP address")
}

func TestExternalAccount(t *testing.T) {
	t.Parallel()
	const secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	server := startPebble(t, pebble.Config{MACKeys: map[string]string{"kid-1": secret}})
	for _, test := range []struct {
		name, account, password string
		want                    []string // of the failure
	}{
		{"as given", "kid-1", secret, nil},
		{"in another form of base64", "kid-1", " " + strings.NewReplacer("-", "+", "_", "/").Replace(secret) + "==\n", nil},
		{"none", "", "", []string{"requires an external account", "account_id", "pwd"}},
		{"no base64", "kid-1", "s*cr*t", []string{"credentials.pwd", "base64url"}},
		{"wrong", "kid-1", "AAAA" + secret[4:], []string{"refuses the account of the issuer ca", "unauthorized"}},
		{"unknown", "kid-2", secret, []string{"refuses the account", "not known"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, server)
			o := s.request(label(test.name) + ".eab.example.test")
			o.req.Issuer.AccountID, o.req.Issuer.Password = test.account, test.password
			o.req.Issuer.Org.Admins = []provider.AdminDetails{{FirstName: "A"}, {Email: "admin@example.test"}}
			if test.want == nil {
				o.issue()
			} else {
				o.failure(provider.CodeIssuerError, test.want...)
			}
			if test.password != "" && strings.Contains(s.log.String(), strings.TrimSpace(test.password)) {
				t.Error("the log holds the HMAC key")
			}
		})
	}
}

func TestCNAMEDelegation(t *testing.T) {
	t.Parallel()
	for name, target := range map[string]string{
		"elsewhere.test":            "elsewhere.delegated.test",
		"in-a-zone-of.example.test": "in-a-zone-of.delegated.test",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, difficult)
			if err := challenges.SetCNAME(t.Context(), "_acme-challenge."+name, target); err != nil {
				t.Fatal(err)
			}
			o := s.request(name)
			o.until(func(provider.Outcome) bool { return len(s.hook.left()) > 0 })
			if s.hook.left()[target+"."] == nil {
				t.Errorf("the record is at %v, want it where the CNAME leads", s.hook.left())
			}
			o.issue()
			s.noneLeft()
		})
	}
}

func TestHTTP01(t *testing.T) {
	t.Parallel()
	s := newSetup(t, difficult)
	s.cfg.Tokens = tokens()
	chain := s.request("bound-to-the-app.test", "127.0.0.1").issue()
	if len(chain[0].IPAddresses) != 1 || chain[0].IPAddresses[0].String() != "127.0.0.1" {
		t.Errorf("the certificate has the addresses %v", chain[0].IPAddresses)
	}
	if n := len(s.hook.left()); n != 0 || s.hook.calls != 0 {
		t.Error("names outside of all zones were published in DNS")
	}
}

func TestBlockedName(t *testing.T) {
	t.Parallel()
	newSetup(t, difficult).request("www.blocked.test").failure(provider.CodeRejected, "rejectedIdentifier", "blocked.test")
}

func TestNoRecordToBeSeen(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	s.hook.set(func(h *hook) { h.deaf = true })
	o := s.request("unseen.example.test")
	began := s.clock.now()
	o.failure(provider.CodeRejected, "could not validate unseen.example.test by dns-01", "unauthorized", "No TXT records")
	if waited := s.clock.now().Sub(began); waited < 10*time.Minute {
		t.Errorf("the CA was asked after %s; the record could still have become visible", waited)
	}
}

func TestSlowCA(t *testing.T) {
	t.Parallel()
	server := startPebble(t, pebble.Config{RetryAfter: 7 * time.Second, ValidationTime: 2 * time.Second})
	s := newSetup(t, server)
	// The CA takes its time with the names, too, whatever chance has it do.
	slow := map[string]func(string) string{
		orderPath:         replace(`"ready"`, `"pending"`, 2),
		authorizationPath: replace(`"status": "valid"`, `"status": "pending"`, 2),
	}
	between := &faults{
		rewrite: func(path, body string) string {
			for prefix, change := range slow {
				if strings.HasPrefix(path, prefix) {
					return change(body)
				}
			}
			return body
		},
		header: func(path string, header http.Header) {
			if strings.HasPrefix(path, authorizationPath) {
				header.Set("Retry-After", "7")
			}
		},
	}
	s.cfg.Directory.URL = between.front(t, server)
	o := s.request("slow.example.test")
	polled := make(map[string]bool)
	for {
		before := s.clock.now()
		out := o.step()
		if out.Kind == provider.OutcomeIssued {
			break
		}
		if out.Kind != provider.OutcomePending {
			t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
		}
		if pause := out.Until.Sub(before); pause > 0 {
			polled[out.Detail] = true
			// The answer may have a date instead of seconds, which is coarser.
			if pause < 6*time.Second || pause > 7*time.Second {
				t.Errorf("%q: looks again after %s, want the 7 s of Retry-After", out.Detail, pause)
			}
		}
	}
	for _, detail := range []string{"The CA validates slow.example.test.", "The CA makes the certificate."} {
		if !polled[detail] {
			t.Errorf("never waited because %q", detail)
		}
	}
}

func TestPreferredChain(t *testing.T) {
	t.Parallel()
	alternate, err := difficult.Root(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	first, err := difficult.Root(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		preferred string
		root      *x509.Certificate
	}{
		"offered":     {alternate.Subject.CommonName, alternate},
		"not offered": {"Another Root", first},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, difficult)
			s.cfg.Directory.PreferredChain = test.preferred
			chain := s.request(label(name) + ".chain.example.test").issue()
			if err := chain[len(chain)-1].CheckSignatureFrom(test.root); err != nil {
				t.Errorf("the chain does not lead to %s: %v", test.root.Subject, err)
			}
		})
	}
}

func TestProfile(t *testing.T) {
	t.Parallel()
	s := newSetup(t, difficult)
	o := s.request("profile.example.test")
	o.req.Policy.Issuer.CertificateType = "shortlived"
	leaf := o.issue()[0]
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 6*24*time.Hour {
		t.Errorf("a certificate of the profile of 6 days is valid for %s", life)
	}
	o = s.request("profile.example.test")
	o.req.Policy.Issuer.CertificateType = "longlived"
	o.failure(provider.CodeIssuerError, `"longlived"`, "policy.issuer.cty", "default, shortlived")
}

func TestNoWayToProve(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	s.request("127.0.0.1").failure(provider.CodeIssuerError, "127.0.0.1 cannot be proven to", "offers http-01, tls-alpn-01: HTTP-01 is not configured")
	s.cfg.Tokens, s.dns = tokens(), acme.DNSConfig{}
	s.request("*.nowhere.test").failure(provider.CodeIssuerError, "*.nowhere.test cannot be proven to", "dns-01", "DNS is not configured")
}

func TestStandingRecord(t *testing.T) {
	t.Parallel()
	s := newSetup(t, difficult)
	t.Cleanup(func() {
		if err := challenges.ClearTXT(context.Background(), "_validation-persist.standing.test"); err != nil {
			t.Error(err)
		}
	})
	o := s.request("*.standing.test")
	out, ok := o.until(func(out provider.Outcome) bool { return strings.HasPrefix(out.Detail, "Publish") })
	if !ok || !strings.Contains(out.Detail, "_validation-persist.standing.test") {
		t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	if pause := out.Until.Sub(s.clock.now()); pause > time.Minute {
		t.Errorf("looks again after %s", pause)
	}
	_, value, _ := strings.Cut(out.Detail, ` value "`)
	value = strings.TrimSuffix(value, `".`)
	// A record of another account, and one without wildcards, do not help.
	domain, parameters, _ := strings.Cut(value, "; ")
	for _, other := range []string{domain + "; accounturi=https://other.test/1; policy=wildcard", strings.TrimSuffix(value, "; policy=wildcard"), "x"} {
		if err := challenges.AddTXT(t.Context(), "_validation-persist.standing.test", other); err != nil {
			t.Fatal(err)
		}
	}
	if out := o.step(); !strings.HasPrefix(out.Detail, "Publish") {
		t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	if err := challenges.AddTXT(t.Context(), "_validation-persist.standing.test", domain+";"+strings.ToUpper(parameters[:6])+parameters[6:]); err != nil {
		t.Fatal(err)
	}
	o.issue()

	// It is used before others, and left where it is.
	s.dns.Hooks = []acme.Hook{s.hook.config("standing.test")}
	s.request("*.standing.test").issue()
	if s.hook.calls != 0 {
		t.Error("a record was published although a standing one was there")
	}
}

func TestDetailsNameTheWork(t *testing.T) {
	t.Parallel()
	s := newSetup(t, difficult)
	o := s.request("details.example.test")
	var details []string
	for {
		out := o.step()
		if out.Kind == provider.OutcomeIssued {
			break
		}
		if n := len(details); out.Kind == provider.OutcomePending && (n == 0 || details[n-1] != out.Detail) {
			details = append(details, out.Detail)
		}
	}
	want := []string{
		"The account is registered.",
		"The order is placed.",
		"Proofs are chosen.",
		"TXT records are published at _acme-challenge.details.example.test.",
		"The name servers answer with the TXT records.",
		"The CA validates details.example.test.",
	}
	if diff := cmp.Diff(want, details[:min(len(want), len(details))]); diff != "" {
		t.Errorf("what a person reads (-want +got):\n%s", diff)
	}
}
