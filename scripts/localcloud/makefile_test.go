package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// TestMakeInstallsByTheOuterProxies: in a shell that has sourced the settings, what
// make installs uses the proxies that the shell had before, and no others.
func TestMakeInstallsByTheOuterProxies(t *testing.T) {
	t.Parallel()
	tree, err := checkout.Find(".")
	if err != nil {
		t.Fatal(err)
	}
	rules := filepath.Join(t.TempDir(), "Makefile")
	if err := os.WriteFile(rules, []byte("print:\n\t@env\ninclude Makefile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		environ []string
		want    map[string]string
	}{
		"plain":   {[]string{"HTTPS_PROXY=http://corporate:3128"}, map[string]string{"HTTPS_PROXY": "http://corporate:3128"}},
		"sourced": {[]string{urlName + "=u", "HTTPS_PROXY=http://127.0.0.1:1", "ALL_PROXY=http://127.0.0.1:1"}, map[string]string{}},
		"sourced behind a proxy": {
			[]string{urlName + "=u", "HTTPS_PROXY=http://127.0.0.1:1", "no_proxy=localhost", outerPrefix + "HTTPS_PROXY=http://u:p$q@corporate:3128"},
			map[string]string{"HTTPS_PROXY": "http://u:p$q@corporate:3128"},
		},
	} {
		cmd := exec.CommandContext(t.Context(), "make", "-s", "-f", rules, "print")
		cmd.Dir = tree.Root
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, test.environ...)
		printed, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := make(map[string]string)
		for line := range strings.SplitSeq(string(printed), "\n") {
			variable, value, _ := strings.Cut(line, "=")
			got[variable] = value
		}
		for _, variable := range proxyNames {
			if got[variable] != test.want[variable] {
				t.Errorf("%s: %s is %q, want %q", name, variable, got[variable], test.want[variable])
			}
		}
	}
}
