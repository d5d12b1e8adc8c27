package main

// What each command line answers.

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/settings/settingstest"
)

// TestCommandLine: what each command line answers, and with which exit code.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		code int
		says string // in the error, or printed
	}{
		{[]string{"help"}, 0, "usage: handler [COMMAND]"},
		{[]string{"--help"}, 0, "usage: handler [COMMAND]"},
		{[]string{"-h"}, 0, "usage: handler [COMMAND]"},
		{[]string{"version"}, 0, "certwright " + version + "\n"},
		{[]string{"--version"}, 0, "certwright " + version + "\n"},
		{[]string{"version", "2"}, 2, `version takes no argument "2"`},
		{[]string{"ca"}, 2, "`handler ca help` lists them"},
		{[]string{"ca", "help"}, 0, "usage: handler ca COMMAND"},
		{[]string{"ca", "-nonsense"}, 2, `unknown command "-nonsense"`},
		{[]string{"ca", "make", "-h"}, 0, "usage: handler ca make"},
		{[]string{"ops"}, 2, "`handler ops help` lists them"},
		{[]string{"ops", "help"}, 0, "usage: handler ops COMMAND"},
		{[]string{"ops", "list", "more"}, 2, `ops list takes no argument "more"`},
		{[]string{"ops", "show"}, 2, "ops show takes CERTIFICATE"},
		{[]string{"ops", "list", "-nonsense"}, 2, "not defined: -nonsense; `handler ops list -h`"},
		{[]string{"serve"}, 2, `unknown command "serve": there are ca, check, help, migrate, ops, rewrap, version`},
		{[]string{"migrate", "-accept-unsigned", "-finish"}, 2, "-accept-unsigned stands alone"},
		{[]string{"migrate", "--accept-unsigned"}, 1, "settings: "},
		{[]string{"check"}, 1, "CERTWRIGHT_VAULT_URLS is required"},
		{[]string{"check", "all"}, 2, `check takes no argument "all"`},
		{[]string{"ca", "show"}, 1, "CERTWRIGHT_KEK_ID"},
		{[]string{"ca", "revoke"}, 2, `unknown command "revoke"`},
		{[]string{"ca", "show", "corp"}, 2, `unexpected argument "corp"`},
		{[]string{"ca", "make", "-size", "1"}, 2, "not defined: -size"},
		{[]string{"ca", "make", "-cn", "a"}, 2, "-provider"},
		{[]string{"migrate", "-h"}, 0, "usage: handler ops migrate"},
		{[]string{"migrate", "--accept-unsigned"}, 1, "CERTWRIGHT_KEK_ID"},
		{[]string{"migrate", "-finish", "now"}, 2, `takes no argument "now"`},
		{[]string{"migrate", "-force"}, 2, "not defined: -force"},
		{[]string{"rewrap", "-h"}, 0, "handler rewrap [flags]"},
		{[]string{"rewrap"}, 1, "CERTWRIGHT_KEK_ID"},
		{[]string{"rewrap", "all"}, 2, `unexpected argument "all"`},
		{[]string{"rewrap", "-force"}, 2, "not defined: -force"},
		{[]string{"rewrap", "-rotate", "-forget", "1"}, 2, "one of -rotate and -forget"},
		{[]string{"ops", "list"}, 2, "the vault's URL is missing"},
	} {
		var out bytes.Buffer
		err := run(t.Context(), test.args, terminal{func(string) string { return "" }, strings.NewReader(""), &out})
		says := out.String()
		if err != nil {
			if says != "" {
				t.Errorf("handler %q: what is wrong is said twice: %s", test.args, says)
			}
			says = err.Error()
		}
		if code := exitCode(err); code != test.code || !strings.Contains(says, test.says) {
			t.Errorf("handler %q: exit code %d, want %d; %q, want %q in it", test.args, code, test.code, says, test.says)
		}
	}
}

// TestCheck: settings that are right are said to be, without a network.
func TestCheck(t *testing.T) {
	t.Parallel()
	all := maps.Clone(settingstest.Development)
	all["CERTWRIGHT_KEK_FILE"] = settingstest.KEK(t)
	all["CERTWRIGHT_STORAGE_CONNECTION_STRING"] = nowhere
	check := func() (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), []string{"check"}, terminal{func(name string) string { return all[name] }, strings.NewReader(""), &out})
		return out.String(), err
	}
	if out, err := check(); err != nil || out != "the settings are right\n" {
		t.Errorf("%q, %v", out, err)
	}
	all["CERTWRIGHT_KEK_FILE"] = t.TempDir()
	if out, err := check(); err == nil || out != "" {
		t.Errorf("a folder is taken for a key: %q", out)
	}
}
