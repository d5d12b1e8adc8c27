package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// environmentName is the file of settings for sh, and for every shell like it.
const environmentName = "env"

// dialects are the files of settings, each in the language of a shell.
var dialects = []struct {
	name  string
	write func(set []variable, unset []string) string
}{
	{environmentName, forSh},
	{"env.fish", forFish},
	{"env.ps1", forPowerShell},
	{".env", forDotenv},
}

// writeEnvironment writes the files of settings and returns the path of the one
// for sh.
func writeEnvironment(c checkout.Checkout, e endpoints) (string, error) {
	head := fmt.Sprintf("# Settings of the local cloud of process %d, removed when it ends.\n", os.Getpid()) +
		"# Where they are in force, every Key Vault is this one, and other hosts are out of reach by HTTPS.\n"
	for _, d := range dialects {
		text := head + d.write(append(e.routes(), e.trust()...), foreign)
		if err := c.State().Write(d.name, []byte(text)); err != nil {
			return "", err
		}
	}
	return c.Local(environmentName), nil
}

// removeEnvironment removes the files of settings, of this process or of one that
// was killed.
func removeEnvironment(c checkout.Checkout) error {
	var errs []error
	for _, d := range dialects {
		if err := os.Remove(c.Local(d.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing the settings: %w", err))
		}
	}
	return errors.Join(errs...)
}

// forSh is for `. .local/env`. The shell's own proxies are kept once: a shell that
// has sourced settings before has them already.
func forSh(set []variable, unset []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "if [ -z \"${%s-}\" ]; then\n", urlName)
	for _, name := range proxyNames {
		fmt.Fprintf(&b, "  [ -z \"${%s-}\" ] || export %s%s=\"$%s\"\n", name, outerPrefix, name, name)
	}
	b.WriteString("fi\n")
	for _, v := range set {
		fmt.Fprintf(&b, "export %s=%s\n", v.name, quote(v.value))
	}
	fmt.Fprintf(&b, "unset %s\n", strings.Join(unset, " "))
	return b.String()
}

// quote quotes a value for sh.
func quote(value string) string {
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// forFish is for `source .local/env.fish`.
func forFish(set []variable, unset []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "if not set -q %s\n", urlName)
	for _, name := range proxyNames {
		fmt.Fprintf(&b, "  set -q %s; and set -gx %s%s $%s\n", name, outerPrefix, name, name)
	}
	b.WriteString("end\n")
	for _, v := range set {
		fmt.Fprintf(&b, "set -gx %s %s\n", v.name, quoteFish(v.value))
	}
	for _, name := range unset {
		fmt.Fprintf(&b, "set -e %s; or true\n", name)
	}
	return b.String()
}

// quoteFish quotes a value for fish, where a backslash escapes itself and the
// quote also within single quotes.
func quoteFish(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value) + "'"
}

// forPowerShell is for `. ./.local/env.ps1`.
func forPowerShell(set []variable, unset []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "if (-not $env:%s) {\n", urlName)
	for _, name := range proxyNames {
		fmt.Fprintf(&b, "  if ($env:%s) { $env:%s%s = $env:%s }\n", name, outerPrefix, name, name)
	}
	b.WriteString("}\n")
	for _, v := range set {
		fmt.Fprintf(&b, "$env:%s = %s\n", v.name, quotePowerShell(v.value))
	}
	for _, name := range unset {
		fmt.Fprintf(&b, "Remove-Item Env:%s -ErrorAction SilentlyContinue\n", name)
	}
	return b.String()
}

// quotePowerShell quotes a value for PowerShell.
func quotePowerShell(value string) string {
	return "'" + strings.ReplaceAll(value, "'", "''") + "'"
}

// forDotenv is for programs that read such a file by themselves: containers, IDEs,
// dotenv libraries. It can set variables only.
func forDotenv(set []variable, unset []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# These must not be set beside them: %s\n", strings.Join(unset, " "))
	for _, v := range set {
		fmt.Fprintf(&b, "%s=%s\n", v.name, quoteDotenv(v.value))
	}
	return b.String()
}

// bare is a value that every reader of such files takes as it stands, containers
// among them, which take quotes for a part of it.
var bare = regexp.MustCompile(`^[A-Za-z0-9_./:,*=@%+-]*$`)

// quoteDotenv quotes a value that needs it.
func quoteDotenv(value string) string {
	if bare.MatchString(value) {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `\'`) + "'"
}
