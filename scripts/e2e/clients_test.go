package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

// lifecycle is the steps that every client walks, as its program prints them.
var lifecycle = []string{
	"create with issuer Self",
	"read certificate, version and policy",
	"list certificates and versions",
	"delete the operation",
	"create with issuer Unknown",
	"merge",
	"set, update, get and list an issuer",
	"create at an issuer that holds",
	"the issuer issues",
	"the old version is served while a new one is pending",
	"cancel at the issuer",
	"the issuer rejects",
	"merge what was obtained elsewhere",
	"cancel right after create",
	"delete a certificate",
	"create on a deleted name",
	"recover",
	"purge",
	"delete the issuer",
}

// clientLimit bounds a client's walk through the lifecycle, most of which is its
// pollers' pauses.
const clientLimit = 6 * time.Minute

// TestClients: the official clients, as they come from their registries, walk the
// whole lifecycle in a shell that has sourced the local cloud's settings. Their
// verification of the challenge's resource is on.
func TestClients(t *testing.T) {
	t.Parallel()
	ca := need(t, certificateAuthority).serve(t)
	for name, command := range map[string]func(testing.TB) []string{
		"python":       pythonClient("sync"),
		"python async": pythonClient("async"),
		"javascript": func(t testing.TB) []string {
			return []string{"node", filepath.Join(need(t, javascript), "lifecycle.js")}
		},
		"go": func(t testing.TB) []string { return []string{need(t, goClient)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := need(t, localCloud)
			prefix := newVaultID()
			output, err := c.run(t.Context(), "", []string{"CERTWRIGHT_E2E_CA=" + ca}, append(command(t), prefix)...)
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			if diff := cmp.Diff(lifecycle, strings.Split(strings.TrimSpace(output), "\n")); diff != "" {
				t.Errorf("the steps of the client (-want +got):\n%s", diff)
			}
		})
	}
}

func pythonClient(flavour string) func(testing.TB) []string {
	return func(t testing.TB) []string {
		interpreter := need(t, python)
		return []string{interpreter, filepath.Join(filepath.Dir(interpreter), "..", "..", "lifecycle.py"), flavour}
	}
}

// goClient is the program of the Go client.
var goClient = once(func(ctx context.Context) (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "goclient")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./clients/go")
	message, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the Go client: %w\n%s", err, message)
	}
	return program, nil
})

// run runs a program to its end as a client of the cloud: its environment is the
// settings, and what more says. It returns all that the program printed.
func (c *cloud) run(ctx context.Context, input string, more []string, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, clientLimit)
	defer cancel()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(append(slices.Clip(c.environ), "PYTHONDONTWRITEBYTECODE=1"), more...)
	cmd.Stdin = strings.NewReader(input)
	var output transcript
	cmd.Stdout, cmd.Stderr = &output, &output
	process, err := supervise.Start(cmd, 0)
	if err != nil {
		return "", err
	}
	select {
	case <-process.Done():
		return output.String(), process.Err()
	case <-ctx.Done():
		return output.String(), errors.Join(context.Cause(ctx), process.Stop())
	}
}
