package main

import (
	"context"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// TestSamples: each sample starts by one command, in a folder where nothing is,
// says how to use it, and ends when it is told to.
func TestSamples(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, path, says string
		checks           []string // a program that must be content, with the sample's URL at the end
	}{
		{webhookName, "/v1/requests", `{"Portal":{"webhook":{"url":"https://localhost:`, []string{"../examples/webhook/conformance"}},
		{receiverName, "/events", `{"local":{"https":{"url":"https://localhost:`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			state := checkout.Checkout{Root: t.TempDir()}
			cmd, printed := child(t, state, test.name, "-port", "0"), new(transcript)
			cmd.Stdout, cmd.Stderr = printed, printed
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			url := awaitSample(t, state, test.name, test.path, printed)
			if !strings.Contains(printed.String(), test.says) {
				t.Errorf("it does not say %q:\n%s", test.says, printed)
			}
			for _, program := range test.checks {
				check := exec.CommandContext(t.Context(), "go", "run", "-buildvcs=false", program, "-url", url,
					"-roots", state.Local("files", test.name, "roots.pem"), "-secret", state.Local("files", test.name, "secret"))
				if out, err := check.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", program, err, out)
				}
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("it ended with %v:\n%s", err, printed)
			}
		})
	}
}

// awaitSample waits until a sample refuses whoever does not sign, and returns its
// URL.
func awaitSample(t *testing.T, state checkout.Checkout, name, path string, printed *transcript) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		if url := regexp.MustCompile(`https://localhost:\d+`).FindString(printed.String()); url != "" {
			roots := x509.NewCertPool()
			if text, err := os.ReadFile(state.Local("files", name, "roots.pem")); err == nil {
				roots.AppendCertsFromPEM(text)
			}
			response, err := loopback.NewClient(roots).Post(url+path, "application/json", strings.NewReader("{}"))
			if err == nil {
				response.Body.Close()
				if response.StatusCode != http.StatusUnauthorized {
					t.Fatalf("whoever does not sign is answered %s", response.Status)
				}
				return url
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the sample does not answer:\n%s", printed)
		}
	}
}
