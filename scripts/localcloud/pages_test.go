package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// TestCommandsOfThePages: people paste these lines into a shell that has sourced
// the settings, one after another, and have a certificate and a tick. The app is
// the working copy's, as `make run` builds it.
func TestCommandsOfThePages(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	tree, err := checkout.Find(".")
	if err != nil {
		t.Fatal(err)
	}
	r := startUp(t, nil)
	for _, test := range []struct{ page, block, want string }{
		{"README.md", "(?s)\n(vault=.*?)```", `"cer":"`},
		{"docs/local-cloud.md", "(?s)```sh\n(curl -sX POST \"\\$CERTWRIGHT_HOST_URL.*?)```", "202"},
	} {
		page, err := os.ReadFile(filepath.Join(tree.Root, test.page))
		if err != nil {
			t.Fatal(err)
		}
		block := regexp.MustCompile(test.block).FindSubmatch(page)
		if block == nil {
			t.Errorf("%s does not have the lines any more", test.page)
			continue
		}
		// `make token` is of the working copy's own local cloud.
		lines := `make() { "$PROGRAM" token -in "$STATE"; }` + "\n. \"$STATE/.local/env\"\n" + string(block[1])
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		shell := exec.CommandContext(ctx, "sh", "-c", lines)
		shell.Env = append(os.Environ(), childVariable+"=1", "PROGRAM="+os.Args[0], "STATE="+r.state.Root)
		out, err := shell.CombinedOutput()
		if err != nil || !strings.Contains(string(out), test.want) || strings.Contains(string(out), `"error":{`) {
			t.Errorf("the lines of %s: %v, without %q:\n%s", test.page, err, test.want, out)
		}
	}
}
