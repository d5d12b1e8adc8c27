// Package azurite installs and runs Azurite, Microsoft's emulator of Azure
// Storage (https://github.com/Azure/Azurite), for local runs and for tests.
package azurite

import (
	"context"
	"crypto/sha256"
	_ "embed" // the two npm files
	"encoding/hex"
	"fmt"
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
// working copy, in a folder that is named after the lock file's hash, and returns
// the path of its JavaScript entry point.
func Install(ctx context.Context, c checkout.Checkout) (string, error) {
	sum := sha256.Sum256(packageLock)
	dir, err := c.Once(ctx, "azurite/"+hex.EncodeToString(sum[:6]), npmInstall)
	return filepath.Join(dir, filepath.FromSlash(entryPoint)), err
}

func npmInstall(ctx context.Context, dir string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("npm (of Node.js 20 or later) is needed: %w", err)
	}
	for name, content := range map[string][]byte{"package.json": packageJSON, "package-lock.json": packageLock} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	// No package of the lock needs its install script to work.
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	return checkout.Run(cmd)
}
