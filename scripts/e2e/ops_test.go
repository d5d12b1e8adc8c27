package e2e

// An operator with the packaged program.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certwright/certwright/scripts/package/bundle"
)

// TestOperator: a request is stuck, and the operator finds out why, gives it up,
// mends the issuer, and has it tried again; and in the end has the certificate
// revoked. In a shell that has sourced the settings, with the app's own binary.
func TestOperator(t *testing.T) {
	t.Parallel()
	c, deployed := need(t, localCloud), need(t, app)
	name := newVaultID()
	issuer := name + "ca"
	ops := func(args ...string) (string, error) {
		return c.run(t.Context(), "", nil, append([]string{filepath.Join(deployed, bundle.Binary), "ops"}, args...)...)
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := ops(args...)
		if err != nil {
			t.Fatalf("ops %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	send, err := c.curl(t.Context(), vaultURL)
	if err != nil {
		t.Fatal(err)
	}
	put := func(method, target, body string) answer {
		t.Helper()
		got, err := send(t.Context(), method, target+apiVersion, body)
		if err != nil || got.status >= 300 {
			t.Fatalf("%s %s: %v, %v", method, target, got.refusal(), err)
		}
		return got
	}
	script := func(script string) {
		t.Helper()
		put("PUT", "/certificates/issuers/"+issuer, fmt.Sprintf(`{"provider":"Test","org_details":{"id":%q}}`, script))
	}
	script("hold")
	put("POST", "/certificates/"+name+"/create", fmt.Sprintf(`{"policy":{"x509_props":{"subject":"CN=example.com"},"issuer":{"name":%q}}}`, issuer))

	until(t, "the CA's answer is on the board", func() error {
		var board []struct {
			Certificate, Status, Answer string
			OrderID                     string `json:"order_id"`
		}
		out := must("list", "-issuer", issuer, "-json")
		if err := json.Unmarshal([]byte(out), &board); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if len(board) != 1 || board[0].Certificate != name || board[0].Answer != "The script holds the request." || board[0].OrderID == "" {
			return fmt.Errorf("the board is %s", out)
		}
		return nil
	})
	if out := must("list", "-vault-url", vaultURL, "-issuer", issuer); !strings.Contains(out, "The script holds the request.") {
		t.Errorf("the board by the vault's own URL:\n%s", out)
	}
	if out := must("give-up", name); !strings.Contains(out, "An operator gave the request up.") {
		t.Errorf("given up:\n%s", out)
	}
	for want, args := range map[int][]string{1: {"give-up", name}, 2: {"give-up"}} {
		out, err := ops(args...)
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != want {
			t.Errorf("ops %v: %v, want the exit code %d\n%s", args, err, want, out)
		}
	}
	must("pause", issuer, "-for", "1h", "-reason", "maintenance")
	if out := must("issuers"); !strings.Contains(out, "maintenance") {
		t.Errorf("the issuers:\n%s", out)
	}
	must("resume", issuer)
	script("issue")
	must("retry", name)
	until(t, "the request is completed", func() error {
		if out := must("show", name); !strings.Contains(out, "completed") {
			return errors.New(out)
		}
		return nil
	})
	var cert struct{ ID string }
	if err := json.Unmarshal(put("GET", "/certificates/"+name, "").body, &cert); err != nil {
		t.Fatal(err)
	}
	version := cert.ID[strings.LastIndex(cert.ID, "/")+1:]
	must("revoke", name, version, "-reason", "superseded")
	until(t, "the version is revoked", func() error {
		if out := must("revocation", name, version); !strings.Contains(out, "completed") {
			return errors.New(out)
		}
		return nil
	})
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientLimit)
	defer cancel()
	if err := await(ctx, what, holds); err != nil {
		t.Fatal(err)
	}
}
