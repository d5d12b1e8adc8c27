// Package ca is the command line of private CAs: it makes a root or a request to
// a CA above, imports a CA that exists, and shows what a CA is. It works on what
// the app's settings name, the chain's file and the place of the key, and needs
// no app that runs.
//
// make.go, import.go and show.go have a command each.
package ca

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/settings"
)

const usage = `usage: handler ca COMMAND [flags]

Commands for the private CAs of CERTWRIGHT_PROVIDERS. The settings say where a CA's
key is (keyId, sealed or keyFile) and where its chain is written; besides
CERTWRIGHT_PROVIDERS the commands read those of storage and of the key-encryption
key, and act with the identity that azidentity finds: az login, for one.

  make     makes a root, or a key and a CSR for a CA above
  import   brings a CA's chain, and its key
  show     prints what a CA is; never its key

handler ca COMMAND -h prints the flags. The exit code is 0 when the command is done,
1 when it failed, and 2 when the command line is wrong.
`

// Config is what a run gets of its process. All fields are required.
type Config struct {
	// Args are the command and its arguments.
	Args []string

	// Getenv reads the app settings.
	Getenv func(string) string

	// Stdin has the key of import -key -.
	Stdin io.Reader

	// Stdout gets the results.
	Stdout io.Writer

	// Now is the clock by which a root is valid.
	Now func() time.Time
}

// UsageError is a fault in the command line.
type UsageError string

func (e UsageError) Error() string { return string(e) }

// commands do what their flags, args, say.
var commands = map[string]func(ctx context.Context, cfg Config, args []string) error{
	"make":   makeCA,
	"import": importCA,
	"show":   showCAs,
}

// Run runs one command. An error that wraps a UsageError says that the command
// line is wrong; any other says what could not be done.
func Run(ctx context.Context, cfg Config) error {
	if len(cfg.Args) == 0 {
		return UsageError("ca: a command is missing; `handler ca help` lists them")
	}
	name := cfg.Args[0]
	switch name {
	case "help", "-h", "-help", "--help":
		_, err := fmt.Fprint(cfg.Stdout, usage)
		return err
	}
	command, ok := commands[name]
	if !ok {
		return UsageError(fmt.Sprintf("ca: unknown command %q: there are %s; `handler ca help` says what they do", name, strings.Join(slices.Sorted(maps.Keys(commands)), ", ")))
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := command(ctx, cfg, cfg.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		return fmt.Errorf("ca %s: %w", name, err)
	}
	return nil
}

// timeout bounds what a command does to a CA.
const timeout = time.Minute

// commandFlags are the flags of a command.
type commandFlags struct {
	*flag.FlagSet
	about string
	out   io.Writer // gets the help
}

// newFlags makes the flags of a command.
func newFlags(name, about string, cfg Config) commandFlags {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(io.Discard) // what is wrong is said once, by the error
	return commandFlags{set, about, cfg.Stdout}
}

// parse reads a command's flags, which are all its arguments.
func (f commandFlags) parse(args []string) error {
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(f.out, "usage: handler ca %s [flags]\n\n%s\n", f.Name(), f.about)
		f.SetOutput(f.out)
		f.PrintDefaults()
		return err
	case err != nil:
		return UsageError(fmt.Sprintf("%v; `handler ca %s -h` lists the flags", err, f.Name()))
	case f.NArg() > 0:
		return UsageError(fmt.Sprintf("unexpected argument %q", f.Arg(0)))
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
func ownCAs(provider string, cfg Config) ([]ownCA, error) {
	s, err := settings.ParseState(cfg.Getenv)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	log := slog.New(slog.DiscardHandler) // what goes wrong is the command's error
	b, err := s.OpenBackend(log)
	if err != nil {
		return nil, err
	}
	var cas []ownCA
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.Providers)) {
		p := s.Providers[name].PrivateCA
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
	switch {
	case len(names) == 0:
		return nil, errors.New("no private CA in CERTWRIGHT_PROVIDERS: name one there, as docs/issuers.md says")
	case len(cas) == 0:
		return nil, fmt.Errorf("no private CA %q in CERTWRIGHT_PROVIDERS, which has: %s", provider, strings.Join(names, ", "))
	}
	return cas, nil
}

// oneCA is the private CA of a provider that must be named.
func oneCA(provider string, cfg Config) (ownCA, error) {
	if provider == "" {
		return ownCA{}, UsageError("say which CA with -provider")
	}
	cas, err := ownCAs(provider, cfg)
	if err != nil {
		return ownCA{}, err
	}
	return cas[0], nil
}
