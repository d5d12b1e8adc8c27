package kvhttp

// Limits on names, as a caller meets them.

import (
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/names"
)

// A name that the server's configuration does not permit is a bad parameter of
// the caller, who is told which field has it.
func TestNamesAreLimited(t *testing.T) {
	t.Parallel()
	s := newService(t, options{names: map[string]*names.Permitted{"test": {DNSDomains: []string{"example.com"}}}})
	s.script("ca", "hold")
	body := func(sans string) string {
		return `{"policy":{"x509_props":{"subject":"CN=example.com","sans":` + sans + `},"issuer":{"name":"ca"}}}`
	}
	for sans, want := range map[string]string{
		`{"dns_names":["a.example.com","b.example.org"]}`: `policy.x509_props.sans.dns_names has invalid value: names are limited for this issuer: DNS name \"b.example.org\" is not permitted`,
		`{"ipAddresses":["10.0.0.1"]}`:                    `policy.x509_props.sans.ipAddresses has invalid value: names are limited for this issuer: IP address \"10.0.0.1\" is not permitted`,
	} {
		a := s.do("POST", "/certificates/web/create"+v74, body(sans))
		if a.status != 400 || a.field(t, "error.code") != "BadParameter" || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", sans, a.status, a.body)
		}
	}
	s.must("POST", "/certificates/web/create"+v74, body(`{"dns_names":["a.example.com"]}`))
}
