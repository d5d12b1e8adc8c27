package events_test

// The example receiver of the documentation, run as it is.

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/events"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestExampleReceiver tells the receiver in Python of the examples, which shares
// no code with us: it takes what is signed by its key, now, and nothing else.
func TestExampleReceiver(t *testing.T) {
	t.Parallel()
	const receiver = "../../../scripts/examples/events/receiver.py"
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(map[string]string{"siem": key})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", receiver, "--port", "0",
		"--certificate", write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"--private-key", write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		"--keys", write("keys.json", keys))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var port int
	says := bufio.NewScanner(stderr)
	for port == 0 && says.Scan() {
		_, _ = fmt.Sscanf(says.Text(), "listening on port %d", &port)
	}
	if port == 0 {
		t.Fatal("the receiver does not listen")
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	deliver := func(edit func(*events.EndpointConfig)) error {
		t.Helper()
		cfg := events.EndpointConfig{
			URL: fmt.Sprintf("https://127.0.0.1:%d/hook%%20a?b=c", port), KeyID: "siem", Key: []byte(key), Roots: roots, Vault: vaultURL,
		}
		if edit != nil {
			edit(&cfg)
		}
		e, err := events.NewEndpoint(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return e.Deliver(t.Context(), event(vault.EventExpired))
	}
	for range 2 { // as after a lost answer
		if err := deliver(nil); err != nil {
			t.Fatal(err)
		}
	}
	for what, edit := range map[string]func(*events.EndpointConfig){
		"another key":     func(c *events.EndpointConfig) { c.Key = []byte(strings.ToUpper(key)) },
		"an unknown name": func(c *events.EndpointConfig) { c.KeyID = "other" },
		"an old one":      func(c *events.EndpointConfig) { c.Now = func() time.Time { return time.Now().Add(-10 * time.Minute) } },
	} {
		if err := deliver(edit); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := deliver(func(c *events.EndpointConfig) { c.Vault = "https://v2.certs.example.com" }); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(os.Interrupt)
	printed := 0
	for lines := bufio.NewScanner(stdout); lines.Scan(); printed++ {
		if want := "2026-03-31T12:00:00Z Microsoft.KeyVault.CertificateExpired Web 0123456789abcdef0123456789abcdef"; lines.Text() != want {
			t.Errorf("it prints %q, want %q", lines.Text(), want)
		}
	}
	if printed != 1 {
		t.Errorf("it prints %d events, want 1 of one id", printed)
	}
}
