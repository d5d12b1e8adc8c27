package e2e

import (
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// TestPrivateCAFromNothing: the local cloud runs with a CA that nobody has made,
// says what to do, and certifies as soon as that was done.
func TestPrivateCAFromNothing(t *testing.T) {
	t.Parallel()
	c := need(t, localCloud)
	send, err := c.curl(t.Context(), vaultURL)
	if err != nil {
		t.Fatal(err)
	}
	name := newVaultID()
	create := func() answer {
		t.Helper()
		got, err := send(t.Context(), "POST", "/certificates/"+name+"/create"+apiVersion,
			`{"policy":{"x509_props":{"subject":"CN=www.example.com"},"issuer":{"name":"`+name+`ca"}}}`)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got, err := send(t.Context(), "PUT", "/certificates/issuers/"+name+"ca"+apiVersion, `{"provider":"Corp"}`); err != nil || got.status != http.StatusOK {
		t.Fatalf("setting the issuer: %v, %v", got.refusal(), err)
	}
	if got := create(); got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "handler ca make") {
		t.Errorf("before there is a CA: %d %s", got.status, got.body)
	}
	made := exec.CommandContext(t.Context(), c.program, "handler", "-in", c.state.Root, "ca", "make", "-provider", "Corp", "-cn", "Corp Root")
	made.Env, made.Dir = c.environ, need(t, tree).Root
	if out, err := made.CombinedOutput(); err != nil || !strings.Contains(string(out), "sealed in storage") {
		t.Fatalf("making the CA: %v\n%s", err, out)
	}
	if got := create(); got.status != http.StatusAccepted {
		t.Fatalf("with a CA: %v", got.refusal())
	}
	until(t, "the certificate is issued", func() error {
		got, err := send(t.Context(), "GET", "/certificates/"+name+"/pending"+apiVersion, "")
		if err == nil && !strings.Contains(string(got.body), `"status":"completed"`) {
			err = errors.New(string(got.body))
		}
		return err
	})
	// Its exit code is the handler's.
	wrong := exec.CommandContext(t.Context(), c.program, "handler", "-in", c.state.Root, "ca", "nonsense")
	wrong.Env, wrong.Dir = c.environ, made.Dir
	if out, err := wrong.CombinedOutput(); wrong.ProcessState == nil || wrong.ProcessState.ExitCode() != 2 || strings.Count(string(out), "nonsense") != 1 {
		t.Errorf("a wrong command: %v\n%s", err, out)
	}
}

// TestWrongSettingIsSaidOnce: what is wrong with a setting is the end of the local
// cloud's start, in one place.
func TestWrongSettingIsSaidOnce(t *testing.T) {
	t.Parallel()
	program, deployed := need(t, localCloudProgram), need(t, app)
	state := checkout.Checkout{Root: t.TempDir()}
	cmd := exec.CommandContext(t.Context(), program, "up", "-free-ports", "-in", state.Root, "-app", deployed)
	cmd.Dir = need(t, tree).Root
	cmd.Env = append(plainEnviron(), "CERTWRIGHT_RECOVERABLE_DAYS=many")
	out, err := cmd.CombinedOutput()
	if n := strings.Count(string(out), "CERTWRIGHT_RECOVERABLE_DAYS"); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 || n != 1 {
		t.Errorf("%v, and the setting is named %d times:\n%s", err, n, out)
	}
}
