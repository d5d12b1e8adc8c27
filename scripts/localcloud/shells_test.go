package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestShells: each file of settings does in its shell what it does in the others.
// What a shell had before is kept, also when it sources settings twice.
func TestShells(t *testing.T) {
	t.Parallel()
	const hard = `/a b/$HOME` + "`x`" + `/it's "so"\end`
	set := []variable{{urlName, "https://localhost:1"}, {"HTTPS_PROXY", "http://127.0.0.1:2"}, {"SSL_CERT_FILE", hard}}
	for name, shell := range map[string]struct {
		program []string // with the file twice
		write   func([]variable, []string) string
	}{
		"sh":   {[]string{"sh", "-ec", `. "$0"; . "$0"; exec env -0`}, forSh},
		"fish": {[]string{"fish", "--no-config", "-c", `source $argv[1]; and source $argv[1]; and exec env -0`}, forFish},
		"pwsh": {[]string{"pwsh", "-NoProfile", "-Command", `& { . $args[0]; . $args[0]; env -0 }`}, forPowerShell},
	} {
		program, err := exec.LookPath(shell.program[0])
		if err != nil {
			continue // there is no such shell here; sh is everywhere
		}
		file := filepath.Join(t.TempDir(), "settings.ps1")
		if err := os.WriteFile(file, []byte(shell.write(set, []string{"AZURE_CLIENT_ID", "MSI_SECRET"})), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program, append(shell.program[1:], file)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AZURE_CLIENT_ID=mine", "HTTPS_PROXY=http://corporate:3128", "all_proxy=socks5://corporate:1080"}
		printed, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := make(map[string]string)
		for entry := range strings.SplitSeq(string(printed), "\x00") {
			name, value, _ := strings.Cut(entry, "=")
			got[name] = value
		}
		for variable, want := range map[string]string{
			urlName: "https://localhost:1", "HTTPS_PROXY": "http://127.0.0.1:2", "SSL_CERT_FILE": hard, "AZURE_CLIENT_ID": "",
			outerPrefix + "HTTPS_PROXY": "http://corporate:3128", outerPrefix + "all_proxy": "socks5://corporate:1080", outerPrefix + "NO_PROXY": "",
		} {
			if got[variable] != want {
				t.Errorf("%s: %s is %q, want %q", name, variable, got[variable], want)
			}
		}
	}
}

// TestDotenv: Node.js, which the local cloud needs, reads such a file by itself.
func TestDotenv(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), ".env")
	text := forDotenv([]variable{{"SAFE_ONE", "http://127.0.0.1:1/a?b=c"}, {"SAFE_TWO", "/a b/c#d"}, {"SAFE_THREE", "a,b"}}, []string{"X"})
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "--env-file="+file, "-e", "console.log(JSON.stringify([process.env.SAFE_ONE, process.env.SAFE_TWO, process.env.SAFE_THREE]))")
	printed, err := cmd.Output()
	var got []string
	if err != nil || json.Unmarshal(printed, &got) != nil {
		t.Fatalf("%q: %v", printed, err)
	}
	if want := "http://127.0.0.1:1/a?b=c /a b/c#d a,b"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !strings.Contains(text, "\nSAFE_THREE=a,b\n") {
		t.Errorf("a value is quoted for which containers want no quotes:\n%s", text)
	}
}
