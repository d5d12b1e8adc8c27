package vault

// Names of any form.

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/field"
)

var (
	namePattern    = regexp.MustCompile(`\A[0-9A-Za-z-]{1,127}\z`) // REST page: Create Certificate
	keyPattern     = regexp.MustCompile(`\A[0-9a-z-]{1,127}\z`)
	versionPattern = regexp.MustCompile(`\A[0-9A-Fa-f]{32}\z`)
)

// A name is let through exactly when it is one, and its key is fit for a storage
// query.
func FuzzParseName(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		lower := strings.ToLower(s)
		for _, kind := range []struct {
			parse    func(string) (Name, error)
			reserved []string
		}{
			{ParseName, []string{"contacts", "issuers", "restore"}},
			{ParseIssuerName, []string{"self", "unknown"}},
		} {
			n, err := kind.parse(s)
			if want := namePattern.MatchString(s) && !slices.Contains(kind.reserved, lower); (err == nil) != want {
				t.Fatalf("%q: %v, want a name: %v", s, err, want)
			}
			if err != nil {
				if e, ok := errors.AsType[*field.Error](err); !ok || e.Detail == "" {
					t.Fatalf("%q: %v is not a BadParameter", s, err)
				}
				continue
			}
			if n.String() != s || !keyPattern.MatchString(n.key()) {
				t.Fatalf("%q: name %q with key %q", s, n, n.key())
			}
			if again, err := kind.parse(n.key()); err != nil || again.key() != n.key() {
				t.Fatalf("%q: the key %q has key %q, %v", s, n.key(), again.key(), err)
			}
		}
		if id, ok := ParseVersion(s); ok != versionPattern.MatchString(s) || ok && id != lower || !ok && id != "" {
			t.Fatalf("version %q: %q, %v", s, id, ok)
		}
	})
}
