package kvhttp

// Paths of requests.

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSegments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path string
		want []string // nil: refused
	}{
		{"/", []string{}},
		{"", []string{}},
		{"/certificates", []string{"certificates"}},
		{"/certificates/", []string{"certificates"}},
		{"//certificates///a/", []string{"certificates", "a"}},
		{"/certificates/a%2Db", []string{"certificates", "a-b"}},
		{"/certificates/a%252Fb", []string{"certificates", "a%2Fb"}},
		{"/certificates/a.b", []string{"certificates", "a.b"}},
		{"/certificates/...", []string{"certificates", "..."}},
		{"/certificates/%00", []string{"certificates", "\x00"}},
		{"/certificates/..%2FAdvanceIssuance", nil},
		{"/certificates/../AdvanceIssuance", nil},
		{"/certificates/%2e%2E/AdvanceIssuance", nil},
		{"/certificates/./a", nil},
		{"/certificates/%2E", nil},
		{"/certificates/a%2Fcreate", nil},
		{"/certificates/a%5Ccreate", nil},
		{`/certificates/a\create`, nil},
		{"/certificates/a%", nil},
	} {
		got, err := segments(tt.path)
		if (err != nil) != (tt.want == nil) || err == nil && !cmp.Equal(append([]string{}, got...), tt.want) {
			t.Errorf("segments(%q): got %q, %v, want %q", tt.path, got, err, tt.want)
		}
	}
}

func TestNewestVersion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ method, path, want string }{
		{"GET", "/secrets/n/%2F", "/secrets/n"},
		{"GET", "/secrets/n/%2f/", "/secrets/n"},
		{"GET", "/Keys/n/%252F", "/Keys/n"},
		{"PATCH", "/certificates/n/%252f", "/certificates/n"},
		{"GET", "//certificates//n//%2F", "//certificates//n/"},
		{"GET", "/secrets/n//", "/secrets/n//"},
		{"DELETE", "/certificates/n/%2F", "/certificates/n/%2F"}, // no version is deleted, and nothing in its place
		{"POST", "/keys/n/%2F/sign", "/keys/n/%2F/sign"},
		{"GET", "/secrets/n/%2F/versions", "/secrets/n/%2F/versions"},
		{"GET", "/secrets/%2F", "/secrets/%2F"},
		{"GET", "/secrets/n/v/%2F", "/secrets/n/v/%2F"},
		{"GET", "/secrets/n/%25252F", "/secrets/n/%25252F"},
		{"GET", "/secrets/n/%2F%2F", "/secrets/n/%2F%2F"},
		{"GET", "/operations/n/%2F", "/operations/n/%2F"},
		{"GET", "%2F", "%2F"},
	} {
		if got := newestVersion(test.method, test.path); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.method, test.path, got, test.want)
		}
	}
}

func FuzzSegments(f *testing.F) {
	for _, s := range []string{"/certificates/a/pending", "//a//", "/..%2F", "/%2e%2e/x", `/\`, "/%", "/%252F"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, err := segments(path)
		if err != nil {
			return
		}
		escaped := ""
		for _, s := range got {
			if s == "" || s == "." || s == ".." || strings.ContainsAny(s, `/\`) {
				t.Errorf("segments(%q): let through %q", path, s)
			}
			escaped += "/" + url.PathEscape(s)
		}
		again, err := segments(escaped)
		if err != nil || !cmp.Equal(again, got) {
			t.Errorf("segments(%q): got %q, %v, want %q as from %q", escaped, again, err, got, path)
		}
	})
}
