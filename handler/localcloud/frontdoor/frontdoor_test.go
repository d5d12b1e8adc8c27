package frontdoor_test

// Requests and answers arrive at the host as they were sent.

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/localcloud/frontdoor"
)

// serve starts a front door before upstream and returns its address.
func serve(t *testing.T, upstream http.HandlerFunc) string {
	t.Helper()
	host := httptest.NewServer(upstream)
	t.Cleanup(host.Close)
	return serveBefore(t, host.Listener.Addr().String(), slog.New(slog.DiscardHandler))
}

func serveBefore(t *testing.T, upstream string, logger *slog.Logger) string {
	t.Helper()
	door := httptest.NewServer(frontdoor.New(frontdoor.Config{Upstream: upstream, Log: logger}))
	t.Cleanup(door.Close)
	return door.Listener.Addr().String()
}

// exchange sends a request as it is written and returns the answer.
func exchange(t *testing.T, address, request string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func TestTargetArrivesAsSent(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	for _, target := range []string{
		"/certificates/a?api-version=7.4",
		"/certificates/a/?api%2Dversion=7.4",
		"/certificates//a/import?x",
		"//certificates//a",
		"/certificates/..%2FAdvanceIssuance",
		"/certificates/../AdvanceIssuance",
		"/certificates/%2e%2E/x/.",
		"/certificates/a%20b%7E~%41",
		"/?a=1;b=2&c=%zz&a=3",
		"/",
	} {
		response := exchange(t, address, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		got, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != target {
			t.Errorf("%q arrived as %q", target, got)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	var seen http.Header
	var host string
	address := serve(t, func(w http.ResponseWriter, r *http.Request) { seen, host = r.Header, r.Host })
	exchange(t, address, "GET / HTTP/1.1\r\nHost: myvault.vault.azure.net\r\n"+
		"Authorization: Bearer t\r\nAccept-Encoding: br\r\n"+
		"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: gopher\r\n"+
		"Disguised-Host: evil.example\r\nX-MS-CLIENT-PRINCIPAL-ID: admin\r\nX-ARR-ClientCert: forged\r\n\r\n")
	want := http.Header{
		"Authorization":     {"Bearer t"},
		"Accept-Encoding":   {"br"},
		"X-Forwarded-For":   {"127.0.0.1"},
		"X-Forwarded-Host":  {"myvault.vault.azure.net"},
		"X-Forwarded-Proto": {"http"}, // the test's client does not use TLS
		"Disguised-Host":    {"myvault.vault.azure.net"},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if host != "myvault.vault.azure.net" {
		t.Errorf("Host arrived as %q", host)
	}
}

func TestSchemeOfTheClient(t *testing.T) {
	t.Parallel()
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
	}))
	t.Cleanup(host.Close)
	door := httptest.NewTLSServer(frontdoor.New(frontdoor.Config{
		Upstream: host.Listener.Addr().String(), Log: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(door.Close)
	response, err := door.Client().Get(door.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if scheme, err := io.ReadAll(response.Body); err != nil || string(scheme) != "https" {
		t.Errorf("over TLS, X-Forwarded-Proto is %q, %v", scheme, err)
	}
}

func TestRedirectsAndErrorsPassThrough(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://myvault.vault.azure.net/certificates/a/pending")
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://localhost/t", resource="https://vault.azure.net"`)
		w.WriteHeader(http.StatusFound)
	})
	response := exchange(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if response.StatusCode != http.StatusFound || !strings.HasPrefix(response.Header.Get("Location"), "https://myvault.") ||
		!strings.HasPrefix(response.Header.Get("WWW-Authenticate"), "Bearer ") {
		t.Errorf("got %v %v, want the answer as it was given", response.Status, response.Header)
	}
}

func TestAnswersStream(t *testing.T) {
	t.Parallel()
	heard := make(chan struct{})
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "one\n")
		w.(http.Flusher).Flush()
		<-heard // the answer stays open until its beginning has arrived
	})
	response := exchange(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	close(heard)
	if err != nil || line != "one\n" {
		t.Errorf("the answer begins with %q, %v", line, err)
	}
}

func TestRequestsStream(t *testing.T) {
	t.Parallel()
	body, writer := io.Pipe()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		line, err := bufio.NewReader(r.Body).ReadString('\n')
		if err != nil || line != "one\n" {
			t.Errorf("the body begins with %q, %v", line, err)
		}
		writer.Close() // the body stays open until its beginning has arrived
	})
	go fmt.Fprintln(writer, "one")
	response, err := http.Post("http://"+address+"/", "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

func TestOversizedBodyIsRefused(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	body := io.LimitReader(zeros{}, 100<<20+1)
	response, err := http.Post("http://"+address+"/", "application/octet-stream", body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %v, want 413", response.Status)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestUnreachableHost(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	var logged bytes.Buffer
	address := serveBefore(t, closed.Listener.Addr().String(), slog.New(slog.NewTextHandler(&logged, nil)))
	response := exchange(t, address, "GET /certificates?code=key HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer token\r\n\r\n")
	if response.StatusCode != http.StatusBadGateway {
		t.Errorf("status %v, want 502", response.Status)
	}
	for _, secret := range []string{"key", "token"} {
		if strings.Contains(logged.String(), secret) {
			t.Errorf("%q is in the log: %s", secret, logged.String())
		}
	}
}

// TestOneContinue checks that a client that waits for "100 Continue" gets one,
// though those behind the front door say it too.
func TestOneContinue(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusContinue)
		w.WriteHeader(http.StatusContinue)
		body, err := io.ReadAll(r.Body) // by which the server says it once more
		if err != nil {
			t.Error(err)
		}
		w.Write(body)
	})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("the client got %q, %v, want 100 Continue", line, err)
	}
	fmt.Fprint(conn, "{}")
	rest, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	if answer := string(rest); strings.Contains(answer, "100 Continue") || !strings.HasPrefix(answer, "\r\nHTTP/1.1 200 OK\r\n") || !strings.HasSuffix(answer, "\r\n\r\n{}") {
		t.Errorf("then the client got %q", answer)
	}
}

// TestTransportSecurity checks that the front door adds the header where no
// Functions host does.
func TestTransportSecurity(t *testing.T) {
	t.Parallel()
	for _, upstream := range []string{"", "max-age=5"} {
		address := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if upstream != "" {
				w.Header().Set("Strict-Transport-Security", upstream)
			}
		})
		want := upstream
		if want == "" {
			want = "max-age=31536000;includeSubDomains"
		}
		if got := exchange(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").Header.Values("Strict-Transport-Security"); len(got) != 1 || got[0] != want {
			t.Errorf("the host says %q, the client gets %q, want %q", upstream, got, want)
		}
	}
}
