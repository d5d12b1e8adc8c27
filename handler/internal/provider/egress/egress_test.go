package egress_test

// Whom a client calls, how long, and how much it reads.

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// The environment's proxy is looked up once in a process, so this test must be
// the first to make a call; it is, not being parallel.
func TestProxyVariablesAreIgnored(t *testing.T) {
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var called atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := proxy.Accept()
			if err != nil {
				return
			}
			called.Store(true)
			conn.Close()
		}
	}()
	t.Setenv("HTTPS_PROXY", "http://"+proxy.Addr().String())
	client, err := egress.NewClient(egress.Config{Hosts: []string{"ca.test"}, Resolver: resolve(t, "127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get("https://ca.test/"); err == nil {
		t.Error("got an answer")
	}
	proxy.Close()
	<-done
	if called.Load() {
		t.Error("the proxy was called")
	}
}

// serve runs a TLS server and makes a client for it.
func serve(t testing.TB, cfg egress.Config, handler http.HandlerFunc) (*http.Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	if cfg.Hosts == nil {
		cfg.Hosts = []string{server.Listener.Addr().String()}
	}
	cfg.Roots = x509.NewCertPool()
	cfg.Roots.AddCert(server.Certificate())
	client, err := egress.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, hosts := range [][]string{nil, {""}, {"https://ca.example.com"}, {"ca.example.com/x"}, {"a@ca.example.com"}, {"ca.example.com?x"}, {":443"}} {
		if _, err := egress.NewClient(egress.Config{Hosts: hosts}); err == nil {
			t.Errorf("%q: no error", hosts)
		}
	}
}

func TestExchange(t *testing.T) {
	t.Parallel()
	client, server := serve(t, egress.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("request by %s", r.Proto)
		}
		io.Copy(w, r.Body)
	})
	resp, err := client.Post(server.URL, "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "hello" {
		t.Errorf("%q, %v", text, err)
	}
}

// A host is configured with its port, and by the name that is called.
func TestOnlyConfiguredHosts(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	client, server := serve(t, egress.Config{Hosts: []string{"LOCALHOST:1", "[::1]:2", "ca.example.com"}}, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	for _, u := range []string{
		server.URL,
		strings.Replace(server.URL, "https", "http", 1),
		strings.Replace(server.URL, "127.0.0.1", "localhost", 1),
		"http://localhost:1/",
		"https://localhost/",
		"https://ca.example.com:444/",
		"https://www.ca.example.com/",
		"https://ca.example.com./",
		"https://ca.example.com@" + server.Listener.Addr().String(),
	} {
		_, err := client.Post(u, "text/plain", strings.NewReader("x"))
		if err == nil || !strings.Contains(err.Error(), "is not https to a configured host (localhost:1, [::1]:2, ca.example.com:443)") {
			t.Errorf("%s: %v", u, err)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestRedirectIsReturned(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	client, server := serve(t, egress.Config{}, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if n := calls.Load(); n != 1 || resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("%d calls, status %d", n, resp.StatusCode)
	}
}

// A configured name must not lead to this machine, to its link or to the
// platform; the address itself, when configured, may be called.
func TestNamesOfReservedAddresses(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	count := func(http.ResponseWriter, *http.Request) { calls.Add(1) }
	for _, ip := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "168.63.129.16",
		"::1", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
	} {
		_, server := serve(t, egress.Config{}, count)
		_, port, err := net.SplitHostPort(server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		client, err := egress.NewClient(egress.Config{Hosts: []string{"ca.test:" + port}, Resolver: resolve(t, ip)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Get("https://ca.test:" + port); err == nil || !strings.Contains(err.Error(), "which serves this machine only") {
			t.Errorf("%s: %v", ip, err)
		}
		if conn, err := egress.Dial(t.Context(), "ca.test:"+port, resolve(t, ip)); err == nil || !strings.Contains(err.Error(), "which serves this machine only") {
			t.Errorf("a connection to %s: %v, %v", ip, conn, err)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls by name", n)
	}
	client, server := serve(t, egress.Config{}, count)
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls by address", n)
	}
	local := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	if client, err = egress.NewClient(egress.Config{Hosts: []string{strings.TrimPrefix(local, "https://")}}); err != nil {
		t.Fatal(err)
	}
	// The server has no certificate of that name, so it was reached.
	if _, err := client.Get(local); !errors.As(err, new(*tls.CertificateVerificationError)) {
		t.Errorf("localhost: %v", err)
	}
}

// Of a body without end only its limit is taken, and the server is cut off.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	const limit, buffers = 1 << 16, 64 << 20 // the network's buffers are far below
	sent := make(chan int64, 1)
	client, server := serve(t, egress.Config{MaxBody: limit}, func(w http.ResponseWriter, r *http.Request) {
		n := int64(0)
		for block := make([]byte, 1<<16); n < 1<<30; n += int64(len(block)) {
			if _, err := w.Write(block); err != nil {
				break
			}
		}
		sent <- n
	})
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if n != limit || err == nil || !strings.Contains(err.Error(), "longer than 65536 bytes") {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n := <-sent; n > buffers {
		t.Errorf("the server sent %d bytes", n)
	}
}

func TestBodyAtLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size int
		ok   bool
	}{{0, true}, {9, true}, {10, true}, {11, false}, {1000, false}} {
		client, server := serve(t, egress.Config{MaxBody: 10}, func(w http.ResponseWriter, r *http.Request) {
			w.Write(make([]byte, c.size))
		})
		resp, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if (err == nil) != c.ok || len(b) > 10 {
			t.Errorf("body of %d: %d bytes, %v", c.size, len(b), err)
		}
	}
}

// What a few bytes decompress to counts.
func TestCompressedBody(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(make([]byte, 8<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	client, server := serve(t, egress.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(packed.Bytes())
	})
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n != 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestLongHeader(t *testing.T) {
	t.Parallel()
	client, server := serve(t, egress.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
	})
	if resp, err := client.Get(server.URL); err == nil {
		resp.Body.Close()
		t.Error("taken")
	}
}

func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"none": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a body that stops": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "{")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		client, server := serve(t, egress.Config{Timeout: 200 * time.Millisecond}, answer)
		resp, err := client.Get(server.URL)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if !os.IsTimeout(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServerIsVerified(t *testing.T) {
	t.Parallel()
	_, server := serve(t, egress.Config{}, func(http.ResponseWriter, *http.Request) { t.Error("called") })
	client, err := egress.NewClient(egress.Config{Hosts: []string{server.Listener.Addr().String()}, Roots: x509.NewCertPool()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(server.URL); !errors.As(err, new(*tls.CertificateVerificationError)) {
		t.Errorf("unknown root: %v", err)
	}
	old := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") }))
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.Config.ErrorLog = quiet
	old.StartTLS()
	defer old.Close()
	roots := x509.NewCertPool()
	roots.AddCert(old.Certificate())
	client, err = egress.NewClient(egress.Config{Hosts: []string{old.Listener.Addr().String()}, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(old.URL); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const date = "Sun, 01 Mar 2026 12:00:00 GMT"
	for _, c := range []struct {
		value, date string
		want        time.Duration
	}{
		{"", date, 0},
		{"0", date, 0},
		{"30", "", 30 * time.Second},
		{"86401", "", 24 * time.Hour},
		{"4294967295", "", 24 * time.Hour},
		{"4294967296", "", 24 * time.Hour},
		{"9223372036854775808", "", 24 * time.Hour},
		{"99999999999999999999", "", 24 * time.Hour},
		{"-5", "", 0},
		{"1.5", "", 0},
		{"soon", date, 0},
		{"Sun, 01 Mar 2026 12:01:30 GMT", date, 90 * time.Second},
		{"Sun, 01 Mar 2026 11:59:00 GMT", date, 0},
		{"Sun, 01 Mar 2126 12:00:00 GMT", date, 24 * time.Hour},
		{"Sun, 01 Mar 2026 12:01:30 GMT", "", 0},
	} {
		h := http.Header{"Retry-After": {c.value}, "Date": {c.date}}
		if got := egress.RetryAfter(h); got != c.want {
			t.Errorf("%q at %q: %s, want %s", c.value, c.date, got, c.want)
		}
	}
	if got := egress.RetryAfter(http.Header{}); got != 0 {
		t.Errorf("no header: %s", got)
	}
}
