package loopback_test

// The client of servers on this machine.

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/localcloud/loopback"
)

func TestGet(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusAccepted)
		}
		w.Write(make([]byte, 300<<10))
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := loopback.NewClient(roots)
	defer client.CloseIdleConnections()
	if body, err := loopback.Get(t.Context(), client, server.URL); err != nil || len(body) != 256<<10 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if _, err := loopback.Get(t.Context(), client, server.URL+"/other"); err == nil || !strings.Contains(err.Error(), "202 Accepted") {
		t.Errorf("another status than 200: %v", err)
	}
}
