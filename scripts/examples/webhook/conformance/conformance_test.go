package main

// The example passes, and each deviation is noticed.

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The example keeps the contract.
func TestExampleConforms(t *testing.T) {
	t.Parallel()
	for name, delay := range map[string]string{"at once": "0s", "later": "1s"} {
		e := serveExample(t, "-delay", delay)
		for _, c := range checks {
			if err := c.run(e); err != nil {
				t.Errorf("%s: %s: %v", name, c.name, err)
			}
		}
	}
}

// deviation is a way to break the contract, between the checks and the example.
type deviation func(e *endpoint, w http.ResponseWriter, r *http.Request, next http.Handler)

// Every check fails on an endpoint that breaks what it is about.
func TestDeviationsAreNoticed(t *testing.T) {
	t.Parallel()
	quick := serveExample(t)
	slow := serveExample(t, "-delay", "1h")
	for n, c := range []struct {
		check string // part of its name
		to    *endpoint
		by    deviation
	}{
		{"without credentials", quick, trusting},
		{"another secret", quick, trusting},
		{"another body", quick, trusting},
		{"an old signature", quick, trusting},
		{"an early signature", quick, trusting},
		{"without credentials", quick, forbidding},
		{"not made is unknown", quick, knowing},
		{"malformed request", quick, lenient},
		{"did not sign", quick, lenient},
		{"is one request", quick, forgetful},
		{"is one request", quick, busy},
		{"what was asked for", quick, confused},
		{"what was asked for", quick, scribbling},
		{"another CSR", quick, lenient},
		{"cannot be cancelled", quick, yielding},
		{"cancelled request", slow, yielding},
		{"cancelled request", slow, broken},
		{"revocation works", quick, broken},
	} {
		e := deviating(t, c.to, c.by)
		found := false
		for _, check := range checks {
			if !strings.Contains(check.name, c.check) {
				continue
			}
			found = true
			if err := check.run(c.to); err != nil && c.to == quick {
				t.Errorf("%s fails without a deviation: %v", check.name, err)
			}
			if check.run(e) == nil {
				t.Errorf("%s: deviation %d passes", check.name, n)
			}
		}
		if !found {
			t.Errorf("no check %q", c.check)
		}
	}
}

// trusting signs what comes without asking who sends it.
func trusting(e *endpoint, w http.ResponseWriter, r *http.Request, next http.Handler) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.URL.Host = r.Host
	e.credentials.authenticate(r, body)
	next.ServeHTTP(w, r)
}

// forbidding says 403 in place of 401, and not as a problem.
func forbidding(_ *endpoint, w http.ResponseWriter, r *http.Request, _ http.Handler) {
	w.WriteHeader(http.StatusForbidden)
}

// knowing has something to say of every request.
func knowing(_ *endpoint, w http.ResponseWriter, r *http.Request, _ http.Handler) {
	io.WriteString(w, `{"status":"pending"}`)
}

// lenient takes every POST.
func lenient(_ *endpoint, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Method != http.MethodPost {
		next.ServeHTTP(w, r)
		return
	}
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, `{"status":"pending"}`)
}

// forgetful makes another certificate for every POST.
func forgetful(e *endpoint, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Method == http.MethodPost {
		var body request
		if err := json.NewDecoder(r.Body).Decode(&body); err == nil {
			body.RequestID = newID()
			content, _ := json.Marshal(body)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
			r.Header.Set("Idempotency-Key", body.RequestID)
			r.URL.Host = r.Host
			e.credentials.authenticate(r, content)
		}
	}
	next.ServeHTTP(w, r)
}

// busy is always making the same request.
func busy(_ *endpoint, w http.ResponseWriter, r *http.Request, next http.Handler) {
	w.WriteHeader(http.StatusConflict)
}

// confused answers with the certificate of another request.
func confused(e *endpoint, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Method == http.MethodPost {
		next.ServeHTTP(w, r)
		return
	}
	_, a, err := e.newIssued()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"status": a.Status, "chain": a.Chain})
}

// scribbling answers with a chain that is none.
func scribbling(_ *endpoint, w http.ResponseWriter, r *http.Request, _ http.Handler) {
	io.WriteString(w, `{"status":"issued","chain":["certificate"]}`)
}

// yielding says that it cancels whatever it is asked to.
func yielding(_ *endpoint, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Method != http.MethodDelete {
		next.ServeHTTP(w, r)
	}
}

// broken fails at what comes rarely.
func broken(_ *endpoint, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Method == http.MethodDelete || strings.HasSuffix(r.URL.Path, "/revocations") {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	next.ServeHTTP(w, r)
}

// deviating puts a deviation before an endpoint.
func deviating(t testing.TB, e *endpoint, by deviation) *endpoint {
	t.Helper()
	target, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		// Signatures are made for the name that the checks use.
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target); p.Out.Host = p.In.Host },
		Transport: e.client.Transport,
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { by(e, w, r, proxy) }))
	t.Cleanup(server.Close)
	d := *e
	d.url, d.client = server.URL, server.Client()
	return &d
}

// example is the example's binary, which build makes.
var example string

var build = sync.OnceValues(func() ([]byte, error) {
	return exec.Command("go", "build", "-buildvcs=false", "-o", example, "..").CombinedOutput()
})

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "webhook")
	if err != nil {
		log.Fatal(err)
	}
	example = filepath.Join(dir, "webhook")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// serveExample runs the example with a new CA on a free port.
func serveExample(t testing.TB, args ...string) *endpoint {
	t.Helper()
	if out, err := build(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	dir := t.TempDir()
	ca := writePair(t, filepath.Join(dir, "ca"), &x509.Certificate{
		Subject: pkix.Name{CommonName: "Example CA"}, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	})
	own := writePair(t, filepath.Join(dir, "tls"), &x509.Certificate{
		Subject: pkix.Name{CommonName: "endpoint"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("for the test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(example, append([]string{
		"-listen", "127.0.0.1:0", "-dir", filepath.Join(dir, "requests"), "-secret", secret,
		"-ca-cert", ca + ".pem", "-ca-key", ca + "-key.pem", "-tls-cert", own + ".pem", "-tls-key", own + "-key.pem",
	}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the example does not start: %v", err)
	}
	text, err := os.ReadFile(own + ".pem")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &endpoint{
		url: strings.TrimSpace(line), domain: "example.com", wait: 30 * time.Second, poll: time.Millisecond,
		credentials: credentials{keyID: "certwright", secret: "for the test"},
		client:      &http.Client{Transport: transport, Timeout: 30 * time.Second},
	}
}

// writePair writes a certificate that its own key signs, and the key, to
// NAME.pem and NAME-key.pem.
func writePair(t testing.TB, name string, template *x509.Certificate) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		".pem":     {Type: "CERTIFICATE", Bytes: certificate},
		"-key.pem": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(name+file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return name
}
