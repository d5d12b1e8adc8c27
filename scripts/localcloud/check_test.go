package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
	"github.com/certwright/certwright/scripts/package/bundle"
)

// TestSettingsAreChecked: what a handler says of its settings ends the start; that
// one is too old to be asked does not.
func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for says, wrong := range map[string]bool{
		"handler: settings: CERTWRIGHT_KEK_FILE is missing":              true,
		`handler: unknown command "check": there are ca, ops; it serves`: false,
	} {
		deployed := app(t)
		script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = check ] && { echo %s >&2; exit 1; }\n", quote(says))
		if err := os.WriteFile(filepath.Join(deployed, bundle.Binary), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		if !wrong {
			startUp(t, []string{"-app", deployed})
			continue
		}
		_, stderr, status := output(t, child(t, checkout.Checkout{Root: t.TempDir()}, "up", "-free-ports", "-app", deployed))
		if status != 1 || strings.Count(stderr, says) != 1 {
			t.Errorf("status %d, %q, want 1 and %q", status, stderr, says)
		}
	}
}
