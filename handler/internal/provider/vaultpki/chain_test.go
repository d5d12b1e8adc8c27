package vaultpki_test

// The certificates of a mount.

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/vaultpki"
)

// What the mount publishes is read without a login.
func TestCertificates(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.namespace = "admin/team"
	certs, err := s.issuer(vaultpki.Config{Mount: "corp", Namespace: "admin/team"}).Certificates(t.Context(), issuerObject)
	if err != nil || len(certs) != 2 || !slices.Equal(certs[0], s.chain[0].Raw) || !slices.Equal(certs[1], s.chain[1].Raw) {
		t.Errorf("%d certificates, %v", len(certs), err)
	}
	if calls := s.Take(); !slices.Equal(calls, []string{"corp/ca_chain 200"}) {
		t.Errorf("calls %q", calls)
	}
	s.Set(func() { s.unpublished = true })
	if certs, err = s.issuer(vaultpki.Config{Namespace: "admin/team"}).Certificates(t.Context(), issuerObject); err != nil || len(certs) != 0 {
		t.Errorf("a mount without a chain: %d certificates, %v", len(certs), err)
	}
}

func TestCertificatesCannotBeHad(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]fault.Func{
		"answers 503": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"errors":["Vault is sealed"]}`)
		},
		`it has a "PRIVATE KEY"`: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			io.WriteString(w, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
		},
	} {
		s := newServer(t)
		s.Faults = []fault.Func{f}
		certs, err := s.issuer(vaultpki.Config{}).Certificates(t.Context(), issuerObject)
		if err == nil || len(certs) != 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("%d certificates, %v, want %s", len(certs), err, want)
		}
	}
}
