package main

import (
	"os"
	"strings"
	"testing"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// TestLostKEK: data without its key is not begun with another one.
func TestLostKEK(t *testing.T) {
	t.Parallel()
	state := checkout.Checkout{Root: t.TempDir()}
	if err := checkKEK(state); err != nil {
		t.Errorf("with nothing: %v", err)
	}
	if err := os.MkdirAll(state.Local(dataName), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := checkKEK(state); err == nil || !strings.Contains(err.Error(), "put it back, or remove") {
		t.Errorf("with data alone: %v", err)
	}
	stdout, stderr, status := output(t, child(t, state, "up", "-free-ports", "-app", t.TempDir()))
	if status != 1 || !strings.Contains(stderr, "put it back, or remove") {
		t.Errorf("up: status %d, %s%s", status, stdout, stderr)
	}
	if _, err := os.Stat(state.Local(kekName)); !os.IsNotExist(err) {
		t.Errorf("another key was made: %v", err)
	}
	if err := os.WriteFile(state.Local(kekName), []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkKEK(state); err != nil {
		t.Errorf("with data and its key: %v", err)
	}
}
