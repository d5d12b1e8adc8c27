package egress_test

// Base URLs of APIs.

import (
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider/egress"
)

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://ca.example.com":           "https://ca.example.com",
		"https://ca.example.com/":          "https://ca.example.com",
		"https://ca.example.com:8443/a/b/": "https://ca.example.com:8443/a/b",
	} {
		if u, err := egress.BaseURL(text); err != nil || u.String() != want {
			t.Errorf("%s: %s, %v", text, u, err)
		}
	}
	for _, text := range []string{
		"", "ca.example.com", "http://ca.example.com", "https:///a", "https://user@ca.example.com",
		"https://ca.example.com/?a=b", "https://ca.example.com/#a", "https://ca.example.com/%", "https://",
	} {
		if u, err := egress.BaseURL(text); err == nil || !strings.Contains(err.Error(), `"`+text+`" is not of the form`) {
			t.Errorf("%q: %v, %v", text, u, err)
		}
	}
}
