package stepca_test

// step-ca as a process.

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/certwright/certwright/scripts/localcloud/stepca"
	"github.com/certwright/certwright/scripts/localcloud/supervise/supervisetest"
)

func TestServesBothProvisioners(t *testing.T) {
	t.Parallel()
	server := supervisetest.Run(t, stepca.Start, stepca.Config{})
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
	server := supervisetest.Run(t, stepca.Start, stepca.Config{})
	supervisetest.StopEnds(t, server)
}
