package stepca_test

// The certificates of the CA.

import (
	"bytes"
	"crypto/x509"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/stepca"
)

// The server publishes what is above its leaves.
func TestCertificates(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	i, req := f.issuer(stepca.Config{}), request(t)
	certs, err := i.Certificates(t.Context(), req.Issuer)
	if err != nil || len(certs) != 2 || !bytes.Equal(certs[1], ca.Root().Raw) {
		t.Fatalf("%d certificates, %v", len(certs), err)
	}
	if calls := f.Take(); !slices.Equal(calls, []string{"/1.0/intermediates 201", "/1.0/roots 201"}) {
		t.Errorf("calls %q", calls)
	}
	_, out := i.Step(t.Context(), req, nil)
	leaf := verified(t, out, req.CSR)
	intermediate, err := x509.ParseCertificate(certs[0])
	if err != nil || leaf.CheckSignatureFrom(intermediate) != nil {
		t.Errorf("%v: the first did not sign the leaf", err)
	}
}

// One of the lists is better than none: older servers have only roots, and so
// have those without intermediates.
func TestCertificatesCannotBeHad(t *testing.T) {
	t.Parallel()
	refuse := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusNotImplemented)
		io.WriteString(w, `{"status":501,"message":"method not implemented"}`)
	}
	garble := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { io.WriteString(w, `{"crts":["AAAA"]}`) }
	for _, test := range []struct {
		faults []fault.Func
		want   int
		why    string
	}{
		{[]fault.Func{refuse}, 1, ""},
		{[]fault.Func{garble}, 1, ""},
		{[]fault.Func{refuse, garble}, 0, "answers 501 to /1.0/intermediates: method not implemented"},
		{[]fault.Func{garble, refuse}, 0, "malformed answer to /1.0/intermediates"},
	} {
		f := newFront(t)
		f.Set(func() { f.Faults = test.faults })
		certs, err := f.issuer(stepca.Config{}).Certificates(t.Context(), provider.Issuer{})
		if len(certs) != test.want || (err == nil) != (test.why == "") || err != nil && !strings.Contains(err.Error(), test.why) {
			t.Errorf("%d certificates, %v, want %d, %s", len(certs), err, test.want, test.why)
		}
	}
}
