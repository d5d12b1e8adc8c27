// Package bundle makes the function app that is deployed and run: a folder with
// host.json, a sub-folder for each function and the handler's binary, and the
// zip file of it. The same sources and the same Go give the same bytes.
package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Binary is the file name of the handler within the app, which host.json names.
const Binary = "handler"

// Platform is what a binary is built for, in Go's names.
type Platform struct{ OS, Arch string }

var (
	// Azure is the platform of every Linux plan of Azure Functions.
	Azure = Platform{OS: "linux", Arch: "amd64"}
	// Here is this machine.
	Here = Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
)

// Build makes the app of the working copy at root for the platform, in dir,
// which it replaces as a whole.
func Build(ctx context.Context, root, dir string, platform Platform) error {
	staging := dir + ".part"
	if err := os.RemoveAll(staging); err != nil {
		return fmt.Errorf("clearing %q: %w", staging, err)
	}
	if err := os.MkdirAll(staging, 0o755); err != nil {
		return fmt.Errorf("creating %q: %w", staging, err)
	}
	if err := copyFile(filepath.Join(staging, "host.json"), filepath.Join(root, "host.json")); err != nil {
		return err
	}
	if err := copyFunctions(staging, filepath.Join(root, "functions")); err != nil {
		return err
	}
	if err := compile(ctx, root, filepath.Join(staging, Binary), platform); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("replacing %q: %w", dir, err)
	}
	if err := os.Rename(staging, dir); err != nil {
		return fmt.Errorf("replacing %q: %w", dir, err)
	}
	return nil
}

// copyFunctions copies function.json of each function and nothing else.
func copyFunctions(to, from string) error {
	files, err := filepath.Glob(filepath.Join(from, "*", "function.json"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no functions in %q", from)
	}
	for _, file := range files {
		folder := filepath.Join(to, filepath.Base(filepath.Dir(file)))
		if err := os.Mkdir(folder, 0o755); err != nil {
			return fmt.Errorf("creating %q: %w", folder, err)
		}
		if err := copyFile(filepath.Join(folder, "function.json"), file); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copying %q: %w", from, err)
	}
	if err := os.WriteFile(to, content, 0o644); err != nil {
		return fmt.Errorf("copying %q: %w", from, err)
	}
	return nil
}

// compile builds a static binary that holds nothing of this machine: no paths,
// no time, no revision.
func compile(ctx context.Context, root, output string, platform Platform) error {
	output, err := filepath.Abs(output)
	if err != nil {
		return fmt.Errorf("compiling the handler: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=",
		"-o", output, "./handler")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+platform.OS, "GOARCH="+platform.Arch, "GOAMD64=v1", "GOFLAGS=", "CGO_ENABLED=0")
	if message, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("compiling the handler: Go is needed: %w", err)
		}
		return fmt.Errorf("compiling the handler: %w\n%s", err, bytes.TrimSpace(message))
	}
	return os.Chmod(output, 0o755) // whatever the umask
}
