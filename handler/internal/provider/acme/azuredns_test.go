package acme_test

// TXT records in Azure DNS.

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
)

// newAzureSetup proves names through Azure DNS.
func newAzureSetup(t *testing.T, zones ...string) (*setup, *azure) {
	s, a := newSetup(t, quick), newAzure(t, zones...)
	s.dns = a.config()
	return s, a
}

func TestAzureDNS(t *testing.T) {
	t.Parallel()
	s, a := newAzureSetup(t, "one.az.test")
	o := s.request("one.az.test", "*.one.az.test", "deep.sub.one.az.test")
	o.until(func(provider.Outcome) bool { return len(a.contents()) == 2 })
	got := a.contents()
	for key, values := range map[string]int{"one.az.test/_acme-challenge": 2, "one.az.test/_acme-challenge.deep.sub": 1} {
		if set := got[key]; len(set.TXTRecords) != values || set.TTL != 60 {
			t.Errorf("record set %s: %+v, want %d values for 60 s", key, set, values)
		}
	}
	o.issue()
	if diff := cmp.Diff(map[string]setProperties{}, a.contents()); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}

func TestAzureDNSAgain(t *testing.T) {
	t.Parallel()
	s, a := newAzureSetup(t, "again.az.test")
	o := s.request("again.az.test")
	o.until(func(out provider.Outcome) bool { return out.Detail == "Proofs are chosen." })
	writes := 0
	a.set(func(a *azure) {
		a.before = func(method, _ string) int {
			if method != http.MethodGet {
				writes++
			}
			return 0
		}
	})
	for range 3 { // killed before the result was saved
		if _, out := o.provider.Step(t.Context(), o.req, o.state); !publishedAt("_acme-challenge.again.az.test")(out) {
			t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
		}
	}
	if writes != 1 || len(a.contents()["again.az.test/_acme-challenge"].TXTRecords) != 1 {
		t.Errorf("%d writes led to %v", writes, a.contents())
	}
	o.issue()
}

func TestAzureDNSKeepsWhatIsOthers(t *testing.T) {
	t.Parallel()
	s, a := newAzureSetup(t, "kept.az.test")
	const key = "kept.az.test/_acme-challenge"
	others := setProperties{
		TTL:        3600,
		Metadata:   map[string]string{"owner": "somebody"},
		TXTRecords: []txtRecord{{[]string{"first piece ", "second piece"}}, {[]string{"another"}}},
	}
	a.set(func(a *azure) { a.put(key, others) })
	o := s.request("kept.az.test")
	o.until(publishedAt("_acme-challenge.kept.az.test"))
	if set := a.contents()[key]; len(set.TXTRecords) != 3 || set.TTL != 3600 {
		t.Errorf("while it is proven: %+v", set)
	}
	o.issue()
	if diff := cmp.Diff(map[string]setProperties{key: others}, a.contents()); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}

func TestAzureDNSConflicts(t *testing.T) {
	t.Parallel()
	for name, before := range map[string][]string{"of a new set": nil, "of a set": {"earlier"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone := label(name) + ".az.test"
			s, a := newAzureSetup(t, zone)
			key := zone + "/_acme-challenge"
			want := []txtRecord{}
			for _, value := range before {
				a.set(func(a *azure) { a.addValue(key, value) })
				want = append(want, txtRecord{[]string{value}})
			}
			// Before each first write somebody else adds a value.
			wrote := map[string]bool{}
			a.set(func(a *azure) {
				a.before = func(method, _ string) int {
					if method != http.MethodGet && !wrote[method] {
						wrote[method] = true
						value := "meanwhile " + method
						a.addValue(key, value)
						want = append(want, txtRecord{[]string{value}})
					}
					return 0
				}
			})
			s.request(zone).issue()
			if diff := cmp.Diff(want, a.contents()[key].TXTRecords); diff != "" {
				t.Errorf("afterwards (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAzureDNSConflictOnDelete(t *testing.T) {
	t.Parallel()
	s, a := newAzureSetup(t, "delete.az.test")
	const key = "delete.az.test/_acme-challenge"
	once := false
	a.set(func(a *azure) {
		a.before = func(method, _ string) int {
			if method == http.MethodDelete && !once {
				once = true
				a.addValue(key, "meanwhile")
			}
			return 0
		}
	})
	s.request("delete.az.test").issue()
	if diff := cmp.Diff([]txtRecord{{[]string{"meanwhile"}}}, a.contents()[key].TXTRecords); diff != "" || !once {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}

func TestAzureDNSAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status int
		method string
		fails  string // the message; empty: it is tried again
		detail string // then
	}{
		{http.StatusForbidden, http.MethodGet, "", "Azure DNS answers 403 Forbidden"},
		{http.StatusTooManyRequests, http.MethodPut, "", "Azure DNS answers 429 TooManyRequests"},
		{http.StatusInternalServerError, http.MethodGet, "", "Azure DNS answers 500 InternalServerError"},
		{http.StatusPreconditionFailed, http.MethodPut, "", "others keep changing the record set"},
		{http.StatusNotFound, http.MethodPut, "", "Azure DNS answers 404 NotFound"},
		{http.StatusConflict, http.MethodPut, "No TXT record can be written at _acme-challenge.409.az.test: Azure DNS answers 409 Conflict.", ""},
		{http.StatusBadRequest, http.MethodPut, "No TXT record can be written at _acme-challenge.400.az.test: Azure DNS answers 400 BadRequest.", ""},
	} {
		t.Run(http.StatusText(test.status), func(t *testing.T) {
			t.Parallel()
			zone := strconv.Itoa(test.status) + ".az.test"
			s, a := newAzureSetup(t, zone)
			calls := 0
			a.set(func(a *azure) {
				a.before = func(method, _ string) int {
					if method != test.method {
						return 0
					}
					calls++
					return test.status
				}
			})
			o := s.request(zone)
			if test.fails != "" {
				o.failure(provider.CodeIssuerError, test.fails)
				return
			}
			out, ok := o.until(func(out provider.Outcome) bool { return out.Kind == provider.OutcomeRetry })
			if !ok || !strings.Contains(out.Detail, test.detail) || strings.Contains(out.Detail, "Long words") {
				t.Fatalf("%s: %s; want another try after %q", out.Kind, out.Detail+out.Message, test.detail)
			}
			want := 1
			if test.status == http.StatusPreconditionFailed {
				want = 4
			}
			if calls != want {
				t.Errorf("one step asked %d times, want %d", calls, want)
			}
			a.set(func(a *azure) { a.before = nil })
			o.issue()
		})
	}
}

func TestAzureDNSLongestZone(t *testing.T) {
	t.Parallel()
	s, a := newAzureSetup(t, "long.az.test", "child.long.az.test")
	o := s.request("a.child.long.az.test")
	o.until(publishedAt("_acme-challenge.a.child.long.az.test"))
	if _, ok := a.contents()["child.long.az.test/_acme-challenge.a"]; !ok {
		t.Errorf("published in %v, want the child zone", a.contents())
	}
	o.issue()
}

func TestAzureDNSDelegatedToItsApex(t *testing.T) {
	t.Parallel()
	s, a := newAzureSetup(t, "acme-only.az.test")
	if err := challenges.SetCNAME(t.Context(), "_acme-challenge.to-apex.test", "acme-only.az.test"); err != nil {
		t.Fatal(err)
	}
	o := s.request("to-apex.test")
	o.until(publishedAt("acme-only.az.test"))
	if _, ok := a.contents()["acme-only.az.test/@"]; !ok {
		t.Errorf("published at %v, want the apex", a.contents())
	}
	o.issue()
}

func TestAzureDNSConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]acme.DNSConfig{
		"no resource":   {AzureZones: []string{"example.com"}, Credential: &azfake.TokenCredential{}},
		"another type":  {AzureZones: []string{strings.ReplaceAll(zoneID("a.test"), "dnszones", "privateDnsZones")}, Credential: &azfake.TokenCredential{}},
		"no credential": {AzureZones: []string{zoneID("a.test")}},
		"twice":         {AzureZones: []string{zoneID("a.test"), zoneID("A.test")}, Credential: &azfake.TokenCredential{}},
	} {
		if _, err := acme.NewDNS(cfg); err == nil {
			t.Errorf("Azure DNS with %s was accepted", name)
		}
	}
}

// Unless told otherwise it calls Azure by the client of all providers.
func TestAzureDNSIsNotOnThisMachine(t *testing.T) {
	t.Parallel()
	s, _ := newAzureSetup(t, "local.az.test")
	s.dns.AzureOptions.Transport = nil
	service := s.dns.AzureOptions.Cloud.Services[cloud.ResourceManager]
	service.Endpoint = "https://LOCALHOST:1" // in this form it is a name like any other
	s.dns.AzureOptions.Cloud.Services[cloud.ResourceManager] = service
	out, ok := s.request("local.az.test").until(func(out provider.Outcome) bool { return out.Kind == provider.OutcomeRetry })
	if !ok || !strings.Contains(out.Detail, "which serves this machine only") {
		t.Errorf("%s: %s", out.Kind, out.Detail+out.Message)
	}
}
