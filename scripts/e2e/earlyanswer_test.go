// The host's ways with bodies, 100 Continue and empty versions.

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestEarlyAnswersArrive: what the handler answers before a body has come reaches
// the client as it is, behind a host that sends the whole body first.
func TestEarlyAnswersArrive(t *testing.T) {
	t.Parallel()
	b := need(t, sharedBackend)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := b.start(t, hostConfig{vaultID: newVaultID(), mode: mode})
			door := h.frontDoor(t, "myvault.vault.azure.net")
			refuse := func(size, status int, edit ...func(*http.Request)) {
				t.Helper()
				got, err := door.do(t.Context(), http.MethodPost, "/certificates/a/import"+apiVersion, strings.Repeat(" ", size), edit...)
				if err != nil {
					t.Fatal(err)
				}
				if got.status != status || got.code() == "" {
					t.Errorf("an import of %d bytes: %v, want %d with an error code", size, got.refusal(), status)
				}
			}
			withoutToken := func(r *http.Request) { r.Header.Del("Authorization") }
			expecting := func(r *http.Request) { r.Header.Set("Expect", "100-continue") }
			refuse(5_000_000, http.StatusUnauthorized, withoutToken)
			refuse(5_000_000, http.StatusUnauthorized, withoutToken, expecting)
			refuse(24<<20, http.StatusRequestEntityTooLarge)
			refuse(24<<20, http.StatusRequestEntityTooLarge, expecting)
		})
	}
}

// TestOneContinueReachesTheClient: a client that waits for "100 Continue" gets it
// once, though each of front door, host and handler may say it.
func TestOneContinueReachesTheClient(t *testing.T) {
	t.Parallel()
	b := need(t, sharedBackend)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := b.start(t, hostConfig{vaultID: newVaultID(), mode: mode})
			door := h.frontDoor(t, "myvault.vault.azure.net")
			conn, err := net.Dial("tcp", strings.TrimPrefix(door.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(requestLimit)); err != nil {
				t.Fatal(err)
			}
			body := `{"contacts":[{"email":"a@example.com"}]}`
			fmt.Fprintf(conn, "PUT /certificates/contacts%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
				"Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", apiVersion, door.host, door.token, len(body))
			in := bufio.NewReader(conn)
			first, err := in.ReadString('\n')
			if err != nil || first != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("the client got %q, %v, want 100 Continue", first, err)
			}
			io.WriteString(conn, body)
			rest, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(rest, []byte("100 Continue")) || !bytes.HasPrefix(rest, []byte("\r\nHTTP/1.1 200 ")) {
				t.Errorf("then the client got %q, want one answer", rest)
			}
		})
	}
}

// TestEmptyVersionIsTheNewest: C++'s clients send an escaped slash in the place of
// an empty version, which hosts of both kinds pass on in their own ways, and
// App Service's front end may decode.
func TestEmptyVersionIsTheNewest(t *testing.T) {
	t.Parallel()
	b := need(t, sharedBackend)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := b.start(t, hostConfig{vaultID: newVaultID(), mode: mode})
			door := h.frontDoor(t, "myvault.vault.azure.net")
			door.must(t, http.MethodPost, "/certificates/a/create"+apiVersion, policy("Self"))
			eventually(t, time.Minute, "the certificate", func() error {
				var pending operation
				if err := door.must(t, http.MethodGet, "/certificates/a/pending"+apiVersion, "").into(&pending); err != nil {
					return err
				}
				if pending.Status != "completed" {
					return fmt.Errorf("the operation is %s", pending.Status)
				}
				return nil
			})
			for _, collection := range []string{"certificates", "secrets", "keys"} {
				want := door.must(t, http.MethodGet, "/"+collection+"/a"+apiVersion, "")
				for _, end := range []string{"/%2F", "/%2f", "//"} {
					got, err := door.do(t.Context(), http.MethodGet, "/"+collection+"/a"+end+apiVersion, "")
					if err != nil {
						t.Fatal(err)
					}
					if got.status != http.StatusOK || string(got.body) != string(want.body) {
						t.Errorf("GET /%s/a%s: %v, want %s", collection, end, got.refusal(), want.body)
					}
				}
			}
		})
	}
}
