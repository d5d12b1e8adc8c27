package kvhttp

// API versions, and what each of them shows.

import (
	"net/http"
	"testing"
)

func TestAPIVersion(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	for _, v := range apiVersions {
		if a := s.do("GET", "/certificates?api-version="+v, ""); a.status != http.StatusOK {
			t.Errorf("api-version %s: got %d %s, want it accepted", v, a.status, a.body)
		}
	}
	// As the JavaScript client sends it.
	s.must("GET", "/certificates?api%2Dversion=2025-07-01", "")
	s.must("GET", "/certificates?api-version=7.4&maxresults=5&api-version=7.4", "")
	for _, tt := range []struct{ query, want string }{
		{"api-version=7.2-preview", "The specified version (7.2-preview) is not recognized. Consider using the latest supported version (2026-04-01)."},
		{"api-version=9.9", "The specified version (9.9) is not recognized. Consider using the latest supported version (2026-04-01)."},
		{"api-version=", "The api-version query parameter is missing. Consider using the latest supported version (2026-04-01)."},
		{"", "The api-version query parameter is missing. Consider using the latest supported version (2026-04-01)."},
		{"api-version=7.4&api-version=7.5", "The query parameter api-version has several values."},
		{"api-version=7.4&api-version=7.4&api-version=7.4&api-version=", "The query parameter api-version has several values."},
		{"api-version=7.4;x", "The query of the request URI is malformed."},
		{"api-version=7.4&x=%zz", "The query of the request URI is malformed."},
	} {
		a := s.do("GET", "/certificates?"+tt.query, "")
		if want := `{"error":{"code":"BadParameter","message":"` + tt.want + `"}}`; a.status != http.StatusBadRequest || a.body != want {
			t.Errorf("query %q: got %d %s, want 400 %s", tt.query, a.status, a.body, want)
		}
	}
}

// Fields appear only in the versions that have them.
func TestVersionGates(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.must("POST", "/certificates/a/create?api-version=7.0", `{"preserveCertOrder":true,"policy":{"issuer":{"name":"Self"},
		"x509_props":{"sans":{"dns_names":["a.example"],"uris":["https://a.example/"],"ipAddresses":["2001:0db8::1"]}}}}`)
	s.complete("b")
	s.complete("b")
	for _, tt := range []struct {
		version                      string
		days, preserve, uris, ipAddr bool
	}{
		{"2016-10-01", false, false, false, false},
		{"7.0", false, false, false, false},
		{"7.1", true, false, false, false},
		{"7.6-preview.1", true, false, false, false},
		{"7.6-preview.2", true, true, false, false},
		{"7.6", true, true, false, false},
		{"2025-06-01-preview", true, true, true, true},
		{"2025-07-01", true, true, true, true},
		{"2026-05-01-preview", true, true, true, true},
	} {
		cert := s.must("GET", "/certificates/a/?api-version="+tt.version, "")
		op := s.must("GET", "/certificates/a/pending?api-version="+tt.version, "")
		secret := s.must("GET", "/secrets/b?api-version="+tt.version, "")
		for _, gate := range []struct {
			in    answer
			field string
			want  bool
		}{
			{cert, "attributes.recoverableDays", tt.days},
			{cert, "preserveCertOrder", tt.preserve},
			{op, "preserveCertOrder", tt.preserve},
			{cert, "policy.x509_props.sans.uris", tt.uris},
			{cert, "policy.x509_props.sans.ipAddresses", tt.ipAddr},
			{cert, "policy.x509_props.sans.dns_names", true},
			{secret, "previousVersion", tt.uris},
			{secret, "attributes.recoverableDays", tt.days},
		} {
			if got := gate.in.field(t, gate.field) != nil; got != gate.want {
				t.Errorf("version %s, field %s: got shown %v, want %v", tt.version, gate.field, got, gate.want)
			}
		}
	}
}
