package e2e

// The quickstarts, run as they are.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// customerProgram names a Python program of somebody else, written for Key Vault's
// quickstart, to be run as it is: it finds its vault by KEY_VAULT_NAME and reads
// the name of a certificate, which it creates, reads and deletes.
const customerProgram = "CERTWRIGHT_CUSTOMER_PROGRAM"

// TestQuickstart: the quickstart's flow, which ends well, and then once more with
// the same name, which must meet the documented conflict.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	programs := map[string]string{"ours": filepath.Join("clients", "python", "quickstart.py")}
	if theirs := os.Getenv(customerProgram); theirs != "" {
		programs["theirs"] = theirs
	}
	for whose, program := range programs {
		t.Run(whose, func(t *testing.T) {
			t.Parallel()
			c, interpreter := need(t, localCloud), need(t, python)
			name := newVaultID()
			run := func() (string, error) {
				return c.run(t.Context(), name+"\n", []string{"KEY_VAULT_NAME=myvault"}, interpreter, program)
			}
			output, err := run()
			if err != nil {
				t.Fatalf("the first run: %v\n%s", err, output)
			}
			output, err = run()
			if err == nil {
				t.Fatalf("the second run met no conflict:\n%s", output)
			}
			for _, want := range []string{
				"(Conflict)",
				"Certificate " + name + " is currently in a deleted but recoverable state, and its name cannot be reused",
				"ObjectIsDeletedButRecoverable",
			} {
				if !strings.Contains(output, want) {
					t.Errorf("the second run does not say %q:\n%s", want, output)
				}
			}
		})
	}
}
