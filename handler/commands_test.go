package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestCommandLine: what each command line answers, and with which exit code.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		code int
		says string // in the error, or printed
	}{
		{[]string{"ca"}, 0, "handler ca COMMAND"},
		{[]string{"ops", "help"}, 0, "handler ops COMMAND"},
		{[]string{"serve"}, 1, `unknown command "serve": there are ca, migrate, ops, rewrap`},
		{[]string{"ca", "show"}, 1, "CERTWRIGHT_KEK_ID"},
		{[]string{"ca", "revoke"}, 2, `unknown command "revoke"`},
		{[]string{"ca", "show", "corp"}, 2, `unexpected argument "corp"`},
		{[]string{"ca", "make", "-size", "1"}, 2, "not defined: -size"},
		{[]string{"ca", "make", "-cn", "a"}, 2, "-provider"},
		{[]string{"migrate", "-h"}, 0, "handler migrate [flags]"},
		{[]string{"migrate", "--accept-unsigned"}, 1, "CERTWRIGHT_KEK_ID"},
		{[]string{"migrate"}, 2, "one of -accept-unsigned and -finish"},
		{[]string{"migrate", "-finish", "-accept-unsigned"}, 2, "one of -accept-unsigned and -finish"},
		{[]string{"migrate", "-finish", "now"}, 2, `unexpected argument "now"`},
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
			says = err.Error()
		}
		if code := exitCode(err); code != test.code || !strings.Contains(says, test.says) {
			t.Errorf("handler %q: exit code %d, want %d; %q, want %q in it", test.args, code, test.code, says, test.says)
		}
	}
}
