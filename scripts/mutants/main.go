// Command mutants changes the vault's sources in small ways that a mistake could make
// too, one at a time, and says which of them no test notices. Each mutant has the tests
// that are to kill it, because all of the vault's tests take minutes; the sources stay
// as they are (go help build, -overlay).
//
// usage: mutants [NAME ...]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// source is the package that is mutated, from the top of the module.
const source = "handler/internal/vault"

// limit is how long the tests of one mutant may take; a mutant may never end.
const limit = 10 * time.Minute

func run(ctx context.Context, names []string) error {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var survivors []string
	for _, m := range mutants {
		if len(names) > 0 && !slices.Contains(names, m.name) {
			continue
		}
		began := time.Now()
		killed, err := m.try(ctx, source, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		what := "killed"
		if !killed {
			what = "SURVIVED"
			survivors = append(survivors, m.name)
		}
		fmt.Printf("%-9s %s (%s, %s)\n", what, m.name, m.file, time.Since(began).Round(time.Second))
	}
	if len(survivors) > 0 {
		return fmt.Errorf("no test notices: %s", strings.Join(survivors, "; "))
	}
	return nil
}

// mutant is one change.
type mutant struct {
	name  string
	file  string // in source
	old   string // which is there once
	new   string
	tests string // -run
}

// try reports whether a test fails on the mutant. That it does not compile, or that
// no test ran, is an error.
func (m mutant) try(ctx context.Context, source, dir string) (killed bool, err error) {
	path, err := filepath.Abs(filepath.Join(source, m.file))
	if err != nil {
		return false, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return false, fmt.Errorf("its text is in %s %d times: must be there once", m.file, n)
	}
	mutated := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		return false, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	config, err := json.Marshal(map[string]any{"Replace": map[string]string{path: mutated}})
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(overlay, config, 0o600); err != nil {
		return false, err
	}
	binary := filepath.Join(dir, "mutant.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "-overlay", overlay, "./"+source)
	if out, err := build.CombinedOutput(); err != nil {
		return false, fmt.Errorf("it does not compile: %w\n%s", err, out)
	}
	test := exec.CommandContext(ctx, binary, "-test.run", m.tests, "-test.v", "-test.timeout", limit.String())
	test.Dir = source
	out, err := test.CombinedOutput()
	exit := new(exec.ExitError)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case !strings.Contains(string(out), "=== RUN"):
		return false, fmt.Errorf("no test is called %s\n%s", m.tests, out)
	case err == nil:
		return false, nil
	case errors.As(err, &exit):
		return true, nil
	default:
		return false, err
	}
}
