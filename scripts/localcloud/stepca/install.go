// Package stepca installs and runs step-ca, Smallstep's certificate authority
// (https://github.com/smallstep/certificates), with one JWK and one ACME
// provisioner. It listens on 127.0.0.1 only and needs nothing from elsewhere.
package stepca

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

const (
	module  = "github.com/smallstep/certificates"
	version = "v0.30.2"
	program = "step-ca"
)

// Install makes sure that step-ca is installed in the working copy and returns
// the program's path. Its folder is named after the version and is complete or
// absent. Processes that install at the same time wait for each other.
func Install(ctx context.Context, c checkout.Checkout) (string, error) {
	dir := c.Local("tools", "stepca-"+version)
	path := filepath.Join(dir, program)
	if installed(dir) {
		return path, nil
	}
	lock, err := c.LockWait(ctx, "tools/stepca.lock")
	if err != nil {
		return "", fmt.Errorf("installing step-ca: %w", err)
	}
	defer lock.Unlock()
	if installed(dir) {
		return path, nil
	}
	if err := install(ctx, dir); err != nil {
		return "", fmt.Errorf("installing step-ca: %w", err)
	}
	return path, nil
}

func installed(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// install builds into a folder beside dir and renames it. The go command checks
// what it downloads against the checksum database. Without cgo the program lacks
// what smart cards need.
func install(ctx context.Context, dir string) error {
	staging := dir + ".part"
	if err := os.RemoveAll(staging); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "install", "-trimpath", module+"/cmd/"+program+"@"+version)
	cmd.Dir = filepath.Dir(dir)
	cmd.Env = append(os.Environ(), "GOBIN="+staging, "CGO_ENABLED=0")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go install: %w: %s", err, bytes.TrimSpace(output.Bytes()))
	}
	if err := os.Rename(staging, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
