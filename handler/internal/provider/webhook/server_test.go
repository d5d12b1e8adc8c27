package webhook_test

// The example server, run as it is.

import (
	"bufio"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/webhook"
)

// The example of a server understands what is sent, and is understood.
func TestExampleServer(t *testing.T) {
	t.Parallel()
	server := filepath.Join(t.TempDir(), "webhook")
	run(t, "", "go", "build", "-buildvcs=false", "-o", server, "../../../../scripts/examples/webhook")
	i, req := webhookFor(t, server, "-delay", "1h"), request(t)
	req.Issuer.AccountID = "certwright"
	for range 2 {
		_, out := i.Step(t.Context(), req, nil)
		if out.Kind != provider.OutcomePending || !strings.HasPrefix(out.Detail, "People decide. The CA's id is ") {
			t.Errorf("%+v", out)
		}
	}
	if _, taken, err := i.Cancel(t.Context(), req, nil); !taken || err != nil {
		t.Errorf("cancel: %t, %v", taken, err)
	}
	if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeFailed || !strings.HasSuffix(out.Message, "refuses the request: Cancelled") {
		t.Errorf("after the cancel: %+v", out)
	}
	i = webhookFor(t, server)
	_, out := i.Step(t.Context(), req, nil)
	if out.Kind != provider.OutcomeIssued || !sameKey(t, out.Chain, req.CSR) {
		t.Errorf("%+v", out)
	}
	i = webhookFor(t, server, "-domain", "example.net")
	if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeFailed || !strings.Contains(out.Message, `"example.com" is not in example.net`) {
		t.Errorf("%+v", out)
	}
}

// webhookFor runs the example with a new CA and makes a Provider for it.
func webhookFor(t testing.TB, server string, args ...string) *webhook.Provider {
	t.Helper()
	dir := t.TempDir()
	selfSigned := []string{"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"}
	run(t, dir, append(selfSigned, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=Example CA")...)
	run(t, dir, append(selfSigned, "-keyout", "tls-key.pem", "-out", "tls.pem", "-subj", "/CN=endpoint", "-addext", "subjectAltName=IP:127.0.0.1")...)
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(server, append([]string{"-listen", "127.0.0.1:0", "-key-id", "certwright"}, args...)...)
	cmd.Dir, cmd.Stderr = dir, t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the example does not start: %v", err)
	}
	pem, err := os.ReadFile(filepath.Join(dir, "tls.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	i, err := webhook.New(webhook.Config{URL: strings.TrimSpace(url), Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// run runs a command in a folder.
func run(t testing.TB, dir string, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}
