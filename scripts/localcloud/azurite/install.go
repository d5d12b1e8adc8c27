// Package azurite installs and runs Azurite, Microsoft's emulator of Azure
// Storage (https://github.com/Azure/Azurite), for local runs and for tests.
package azurite

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the two npm files
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

var (
	//go:embed package.json
	packageJSON []byte
	//go:embed package-lock.json
	packageLock []byte
)

// entryPoint is the program within the installed folder.
const entryPoint = "node_modules/azurite/dist/src/azurite.js"

// Install makes sure that the Azurite of package-lock.json is installed in the
// working copy and returns the path of its JavaScript entry point. The folder is
// named after the lock file's hash, and is complete or absent. Processes that install at
// the same time wait for each other.
func Install(ctx context.Context, c checkout.Checkout) (string, error) {
	sum := sha256.Sum256(packageLock)
	dir := c.Local("azurite", hex.EncodeToString(sum[:6]))
	program := filepath.Join(dir, filepath.FromSlash(entryPoint))
	if installed(program) {
		return program, nil
	}
	lock, err := c.LockWait(ctx, "azurite/install.lock")
	if err != nil {
		return "", fmt.Errorf("installing azurite: %w", err)
	}
	defer lock.Unlock()
	if installed(program) {
		return program, nil
	}
	if err := install(ctx, dir); err != nil {
		return "", fmt.Errorf("installing azurite: %w", err)
	}
	return program, nil
}

func installed(program string) bool {
	_, err := os.Stat(program)
	return err == nil
}

func install(ctx context.Context, dir string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("npm (of Node.js 20 or later) is needed: %w", err)
	}
	staging := dir + ".part"
	if err := os.RemoveAll(staging); err != nil {
		return err
	}
	if err := os.Mkdir(staging, 0o700); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"package.json": packageJSON, "package-lock.json": packageLock} {
		if err := os.WriteFile(filepath.Join(staging, name), content, 0o600); err != nil {
			return err
		}
	}
	// No package of the lock needs its install script to work.
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = staging
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, bytes.TrimSpace(output.Bytes()))
	}
	if err := os.Rename(staging, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
