// Package pebble installs and runs Pebble, Let's Encrypt's ACME server for tests
// (https://github.com/letsencrypt/pebble), and its companion that answers
// challenges. Both keep everything in memory and listen on 127.0.0.1 only.
package pebble

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
	module  = "github.com/letsencrypt/pebble/v2"
	version = "v2.10.1"
)

// The programs of the module.
const (
	serverProgram     = "pebble"
	challengesProgram = "pebble-challtestsrv"
)

// Install makes sure that both programs are installed in the working copy and
// returns their folder, which is named after the version and is complete or
// absent. Processes that install at the same time wait for each other.
func Install(ctx context.Context, c checkout.Checkout) (string, error) {
	dir := c.Local("tools", "pebble-"+version)
	if installed(dir) {
		return dir, nil
	}
	lock, err := c.LockWait(ctx, "tools/pebble.lock")
	if err != nil {
		return "", fmt.Errorf("installing pebble: %w", err)
	}
	defer lock.Unlock()
	if installed(dir) {
		return dir, nil
	}
	if err := install(ctx, dir); err != nil {
		return "", fmt.Errorf("installing pebble: %w", err)
	}
	return dir, nil
}

func installed(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// install builds into a folder beside dir and renames it. The go command checks
// what it downloads against the checksum database.
func install(ctx context.Context, dir string) error {
	staging := dir + ".part"
	if err := os.RemoveAll(staging); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "install", "-trimpath",
		module+"/cmd/"+serverProgram+"@"+version, module+"/cmd/"+challengesProgram+"@"+version)
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

// find is Install in the working copy that the working directory lies in,
// unless another is given.
func find(ctx context.Context, c checkout.Checkout, program string) (string, error) {
	if c.Root == "" {
		var err error
		if c, err = checkout.Find("."); err != nil {
			return "", err
		}
	}
	dir, err := Install(ctx, c)
	return filepath.Join(dir, program), err
}
