package stepca_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/stepca"
)

// startLimit covers an installation from an empty module cache.
const startLimit = 8 * time.Minute

func start(t *testing.T, cfg stepca.Config) *stepca.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	server, err := stepca.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func TestServesBothProvisioners(t *testing.T) {
	t.Parallel()
	server := start(t, stepca.Config{})
	roots := x509.NewCertPool()
	roots.AddCert(server.Root())
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	get := func(url string, into any) {
		t.Helper()
		response, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	var directory struct{ NewOrder string }
	if get(server.DirectoryURL(), &directory); directory.NewOrder == "" {
		t.Error("the ACME directory has no newOrder")
	}
	var list struct {
		Provisioners []struct {
			Type, Name string
			Key        struct{ Kid string }
		}
	}
	get(server.URL()+"/1.0/provisioners", &list)
	var key struct{ Kid, D string }
	if err := json.Unmarshal([]byte(server.Key()), &key); err != nil || key.D == "" {
		t.Fatalf("the provisioner's key is not a private JWK: %v", err)
	}
	for _, p := range list.Provisioners {
		if p.Type == "JWK" && p.Name == stepca.Provisioner && p.Key.Kid == key.Kid {
			return
		}
	}
	t.Errorf("the provisioners are %+v", list.Provisioners)
}

func TestStopEndsTheProcess(t *testing.T) {
	t.Parallel()
	server := start(t, stepca.Config{})
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(server.PID(), 0); err != syscall.ESRCH {
		t.Errorf("signalling the stopped process: %v, want ESRCH", err)
	}
}
