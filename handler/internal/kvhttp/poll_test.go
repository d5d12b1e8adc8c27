package kvhttp

import (
	"net/http"
	"testing"
)

// TestCSRAlone: a poll that accepts PKCS #10 gets the base64 of the CSR and nothing
// else, as clients of 2016 to 2019 ask for it.
func TestCSRAlone(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	csr := s.create("web", "Unknown").field(t, "csr")
	for accept, wanted := range map[string]bool{
		"application/pkcs10":                   true,
		"Application/PKCS10":                   true,
		"application/json":                     false,
		"application/json, application/pkcs10": false,
		"*/*":                                  false,
	} {
		a := s.must("GET", "/certificates/web/pending"+v74, "", func(r *http.Request) { r.Header.Set("Accept", accept) })
		switch mediaType := a.header.Get("Content-Type"); {
		case wanted && (a.body != csr || mediaType != "application/pkcs10; charset=utf-8"):
			t.Errorf("Accept %s: got %s %s, want %s", accept, mediaType, a.body, csr)
		case !wanted && (a.field(t, "csr") != csr || mediaType != "application/json; charset=utf-8"):
			t.Errorf("Accept %s: got %s %s, want the operation", accept, mediaType, a.body)
		}
	}
	// What is refused is JSON all the same.
	a := s.do("GET", "/certificates/none/pending"+v74, "", func(r *http.Request) { r.Header.Set("Accept", "application/pkcs10") })
	if a.status != http.StatusNotFound || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

// TestRetryAfter: who waits for nobody but this vault is told to come back soon,
// above all after a cancellation.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.script("myca", "hold")
	for issuer, want := range map[string][2]string{"Self": {"2", "2"}, "Unknown": {"10", "2"}, "myca": {"10", "10"}} {
		name := "of-" + issuer
		if got := s.create(name, issuer).header.Get("Retry-After"); got != want[0] {
			t.Errorf("%s: Retry-After %s of the create, want %s", issuer, got, want[0])
		}
		s.must("PATCH", "/certificates/"+name+"/pending"+v74, `{"cancellation_requested":true}`)
		if got := s.must("GET", "/certificates/"+name+"/pending"+v74, "").header.Get("Retry-After"); got != want[1] {
			t.Errorf("%s: Retry-After %s after a cancellation, want %s", issuer, got, want[1])
		}
	}
}
