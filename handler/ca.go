package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/settings"
)

const caUsage = `handler ca COMMAND [flags]

Commands for the private CAs of CERTWRIGHT_PROVIDERS. The settings say where a CA's
key is (keyId, sealed or keyFile) and where its chain is written; besides
CERTWRIGHT_PROVIDERS the commands read those of storage and of the key-encryption
key, and act with the identity that azidentity finds: az login, for one.

  make     makes a root, or a key and a CSR for a CA above
  import   brings a CA's chain, and its key
  show     prints what a CA is; never its key

handler ca COMMAND -h prints the flags.
`

// caCommands are the subcommands of ca.
var caCommands = map[string]func(args []string, t terminal) error{
	"make":   makeCA,
	"import": importCA,
	"show":   showCAs,
}

// runCA is the command ca.
func runCA(args []string, t terminal) error {
	if len(args) == 0 || args[0] == "help" || strings.HasPrefix(args[0], "-") {
		_, err := fmt.Fprint(t.out, caUsage)
		return err
	}
	command, ok := caCommands[args[0]]
	if !ok {
		return fmt.Errorf("ca: unknown command %q: there are %s", args[0], strings.Join(slices.Sorted(maps.Keys(caCommands)), ", "))
	}
	if err := command(args[1:], t); err != nil && !errors.Is(err, flag.ErrHelp) {
		return fmt.Errorf("ca %s: %w", args[0], err)
	}
	return nil
}

// caTimeout bounds what a command on a CA does.
const caTimeout = time.Minute

// caFlags are the flags of a command on CAs.
func caFlags(name, usage string, t terminal) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(t.out)
	flags.Usage = func() {
		fmt.Fprintf(t.out, "handler ca %s [flags]\n\n%s\n", name, usage)
		flags.PrintDefaults()
	}
	return flags
}

// parseFlags reads a command's flags, which are all its arguments.
func parseFlags(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return nil
}

// ownCA is a private CA as an operator sees it.
type ownCA struct {
	*settings.PrivateCA
	provider string // in lower case
	key      settings.KeyPlace
	backend  settings.Backend
}

// ownCAs are the private CAs of the settings: the one of a provider, or all in
// the order of their names when provider is empty.
func ownCAs(provider string, t terminal) ([]ownCA, error) {
	cfg, err := settings.ParseState(t.getenv)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	log := slog.New(slog.DiscardHandler) // what goes wrong is the command's error
	b, err := cfg.OpenBackend(log)
	if err != nil {
		return nil, err
	}
	var cas []ownCA
	var names []string
	for _, name := range slices.Sorted(maps.Keys(cfg.Providers)) {
		p := cfg.Providers[name].PrivateCA
		if p == nil {
			continue
		}
		names = append(names, name)
		if provider != "" && name != strings.ToLower(provider) {
			continue
		}
		key, err := p.KeyPlace(b)
		if err != nil {
			return nil, fmt.Errorf("provider %q: %w", name, err)
		}
		cas = append(cas, ownCA{p, name, key, b})
	}
	if len(cas) == 0 {
		return nil, fmt.Errorf("no private CA %q in CERTWRIGHT_PROVIDERS, which has: %s", provider, strings.Join(names, ", "))
	}
	return cas, nil
}

// oneCA is the private CA of a provider that must be named.
func oneCA(provider string, t terminal) (ownCA, error) {
	if provider == "" {
		return ownCA{}, errors.New("say which CA with -provider")
	}
	cas, err := ownCAs(provider, t)
	if err != nil {
		return ownCA{}, err
	}
	return cas[0], nil
}
