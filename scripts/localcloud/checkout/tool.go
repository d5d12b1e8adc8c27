package checkout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// Once makes sure that a folder below `.local` is there, and returns its path. If
// it is not, fill fills an empty folder beside it, which is then renamed: the
// folder is complete or absent. Processes that do so at the same time wait for
// each other.
func (c Checkout) Once(ctx context.Context, name string, fill func(ctx context.Context, dir string) error) (string, error) {
	dir := c.Local(filepath.FromSlash(name))
	if there(dir) {
		return dir, nil
	}
	lock, err := c.LockWait(ctx, name+".lock")
	if err != nil {
		return "", fmt.Errorf("installing %s: %w", name, err)
	}
	defer lock.Unlock()
	if there(dir) {
		return dir, nil
	}
	if err := build(ctx, dir, fill); err != nil {
		return "", fmt.Errorf("installing %s: %w", name, err)
	}
	return dir, nil
}

func there(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

func build(ctx context.Context, dir string, fill func(context.Context, string) error) error {
	staging := dir + ".part"
	if err := os.RemoveAll(staging); err != nil {
		return err
	}
	if err := os.Mkdir(staging, 0o700); err != nil {
		return err
	}
	if err := fill(ctx, staging); err != nil {
		return err
	}
	if err := os.Rename(staging, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// GoPrograms fills a folder of [Checkout.Once] with programs of a module, by the
// names of their folders in cmd, built without cgo. The go command checks what it
// downloads against the checksum database.
func GoPrograms(module, version string, programs ...string) func(context.Context, string) error {
	return func(ctx context.Context, dir string) error {
		args := []string{"install", "-trimpath"}
		for _, program := range programs {
			args = append(args, module+"/cmd/"+program+"@"+version)
		}
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = filepath.Dir(dir) // in no module
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0")
		return Run(cmd)
	}
}

// Run runs a command whose output matters only when it fails.
func Run(cmd *exec.Cmd) error {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(cmd.Path), cmd.Args[1], err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}
