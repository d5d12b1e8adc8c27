package kvhttp

// Certificates by HTTP: versions, soft delete, purge protection.

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The bodies of delete and of get deleted are the same, and recover gives back
// what get gave before. Clients compare them.
func TestDeleteRecover(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.complete("a")
	s.create("shell", "Unknown")
	for _, name := range []string{"a", "shell"} {
		before := s.must("GET", "/certificates/"+name+"/"+v74, "")
		deleted := s.must("DELETE", "/certificates/"+name+v74, "")
		got := s.must("GET", "/deletedcertificates/"+name+v74, "")
		if diff := cmp.Diff(deleted.body, got.body); diff != "" {
			t.Errorf("%s: get deleted differs from delete (-delete +get):\n%s", name, diff)
		}
		want := `{"recoveryId":"` + testURL + `/deletedcertificates/` + name + `","deletedDate":`
		if !strings.HasPrefix(got.body, want) || got.field(t, "scheduledPurgeDate").(float64)-got.field(t, "deletedDate").(float64) != 90*86400 {
			t.Errorf("%s: got %s, want it to start with %s and a purge date 90 days after", name, got.body, want)
		}
		recovered := s.must("POST", "/deletedcertificates/"+name+"/recover"+v74, "")
		if diff := cmp.Diff(before.body, recovered.body); diff != "" {
			t.Errorf("%s: recover differs from get before (-get +recover):\n%s", name, diff)
		}
	}
}

// While a new version is pending, the old one is served.
func TestOldVersionIsServed(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.complete("a")
	before := s.must("GET", "/certificates/a"+v74, "")
	s.must("POST", "/certificates/a/create"+v74, strings.Replace(policyOf("Unknown"), "example.com", "new.example.com", 1))
	after := s.must("GET", "/certificates/a"+v74, "")
	for _, field := range []string{"id", "kid", "sid", "cer", "x5t"} {
		if after.field(t, field) != before.field(t, field) {
			t.Errorf("%s changed from %v to %v", field, before.field(t, field), after.field(t, field))
		}
	}
	if got := after.field(t, "policy.x509_props.subject"); got != "CN=new.example.com" {
		t.Errorf("got subject %v in the policy, want the new one", got)
	}
}

// A certificate refers to its pending object as long as there is one.
func TestPendingReference(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.complete("a")
	if got := s.must("GET", "/certificates/a"+v74, "").field(t, "pending.id"); got != testURL+"/certificates/a/pending" {
		t.Errorf("got pending %v, want it to be there", got)
	}
	s.must("DELETE", "/certificates/a/pending"+v74, "")
	if got := s.must("GET", "/certificates/a"+v74, "").field(t, "pending"); got != nil {
		t.Errorf("got pending %v, want none after it was deleted", got)
	}
}

// With purge protection nobody purges, and clients see it in the recovery level.
func TestPurgeProtection(t *testing.T) {
	t.Parallel()
	s := newService(t, options{purgeProtection: true})
	s.complete("a")
	if got := s.must("DELETE", "/certificates/a"+v74, "").field(t, "attributes.recoveryLevel"); got != "Recoverable" {
		t.Errorf("got recovery level %v, want Recoverable", got)
	}
	a := s.do("DELETE", "/deletedcertificates/a"+v74, "")
	want := refusal("Forbidden", `Operation \"purge\" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.`, "")
	if a.status != 403 || a.body != want {
		t.Errorf("purge: got %d %s, want 403 %s", a.status, a.body, want)
	}
	s.must("POST", "/deletedcertificates/a/recover"+v74, "")
}
