package kvhttp

// Policies of any form: refused, or stored and shown alike.

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
)

// A client may send back the policy that it was shown: it is taken, and it is
// the same policy.
func FuzzPolicy(f *testing.F) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v := view{links: "https://vault.example.com", api: sinceURIAndIPNames}
	read := func(data []byte) (*policy.Params, error) {
		var p certificatePolicy
		err := decode(bytes.NewReader(data), &p)
		return p.params(), err
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sent, err := read(data)
		if err != nil {
			if _, ok := errors.AsType[*failure](err); !ok {
				t.Fatalf("%q: %v is not a refusal", data, err)
			}
			return
		}
		p, err := policy.New(*sent, now)
		if err != nil {
			if e, ok := errors.AsType[*field.Error](err); !ok || e.Detail == "" {
				t.Fatalf("%q: %v is not a BadParameter", data, err)
			}
			return
		}
		checkPolicy(t, p)
		shown := newReply(200, v.policy("web", &p)).body
		echo, err := read(bytes.Clone(shown))
		if err != nil {
			t.Fatalf("%s: %v", shown, err)
		}
		again, err := policy.New(*echo, now)
		if err != nil {
			t.Fatalf("%s is refused: %v", shown, err)
		}
		if reshown := newReply(200, v.policy("web", &again)).body; !bytes.Equal(shown, reshown) {
			t.Fatalf("the policy shown changes when it is sent back:\n%s", cmp.Diff(string(shown), string(reshown)))
		}
		if diff := cmp.Diff(p, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the policy shown is another:\n%s", diff)
		}
		updated, err := p.Update(*echo, now)
		if err != nil {
			t.Fatalf("%s is refused as an update: %v", shown, err)
		}
		updated.Updated = p.Updated
		if diff := cmp.Diff(again, updated); diff != "" {
			t.Fatalf("an update with the policy shown changes it:\n%s", diff)
		}
	})
}

// checkPolicy checks what everything that reads a policy relies upon.
func checkPolicy(t *testing.T, p policy.Policy) {
	t.Helper()
	isEC := strings.HasPrefix(p.Key.Type, policy.KeyEC)
	switch {
	case isEC == (p.Key.Curve == ""):
		t.Fatalf("a key of type %s on curve %q", p.Key.Type, p.Key.Curve)
	case p.Key.Exportable && strings.HasSuffix(p.Key.Type, "-HSM"):
		t.Fatalf("an exportable key of type %s", p.Key.Type)
	case p.X509.Subject == "" && p.X509.SANs == nil:
		t.Fatal("neither a subject nor a subject alternative name")
	case p.X509.ValidityMonths < 1 || p.X509.ValidityMonths > 1200:
		t.Fatalf("%d months", p.X509.ValidityMonths)
	case p.X509.EKUs == nil || p.X509.KeyUsage == nil || p.LifetimeActions == nil:
		t.Fatalf("a list without value: %+v", p)
	}
	for _, a := range p.LifetimeActions {
		if (a.Percentage > 0) == (a.DaysBefore > 0) || a.Percentage > 99 || a.DaysBefore > 27*p.X509.ValidityMonths {
			t.Fatalf("%+v in %d months", a, p.X509.ValidityMonths)
		}
	}
}
