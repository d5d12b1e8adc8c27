// Package ops is the command line of operators: what is in progress or has
// failed at CAs, which events have not arrived, and what to do about it. It is a client of the vault's HTTP API,
// as whoever the environment's credential says (DefaultAzureCredential), so it
// runs wherever a Key Vault client would, and may do what that identity may.
//
// client.go talks to the vault, commands.go has the commands, table.go what they
// print.
package ops

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// Config is what a run gets of its process. All fields are required.
type Config struct {
	// Args are the command and its arguments.
	Args []string

	// Getenv reads the environment.
	Getenv func(string) string

	// Stdout gets the results.
	Stdout io.Writer

	// Credential makes the credential that is asked for tokens.
	Credential func() (azcore.TokenCredential, error)

	// Transport carries requests to the vault.
	Transport http.RoundTripper

	// Now is the clock that ages are told by.
	Now func() time.Time
}

// urlVariables are where the vault's URL is looked for, if not in the arguments.
var urlVariables = []string{"CERTWRIGHT_VAULT_URL", "AZURE_KEYVAULT_URL", "CERTWRIGHT_URL"}

// run is one command on its way.
type run struct {
	Config
	client *client
	json   bool
}

// UsageError is a fault in the command line.
type UsageError string

func (e UsageError) Error() string { return string(e) }

// Run runs one command. A UsageError says that the command line is wrong; any
// other error that the vault refused, or could not be reached.
func Run(ctx context.Context, cfg Config) error {
	err := dispatch(ctx, cfg)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}

func dispatch(ctx context.Context, cfg Config) error {
	if len(cfg.Args) == 0 {
		return UsageError("ops: a command is missing; `handler ops help` lists them")
	}
	switch cfg.Args[0] {
	case "help", "-h", "-help", "--help":
		help(cfg.Stdout)
		return nil
	}
	for _, c := range commands {
		if c.name == cfg.Args[0] {
			return c.start(ctx, cfg)
		}
	}
	return UsageError(fmt.Sprintf("ops: unknown command %q; `handler ops help` lists them", cfg.Args[0]))
}

func help(w io.Writer) {
	fmt.Fprint(w, `What is in progress or has failed at CAs, which events have not arrived, and what to do
about it.

usage: handler ops COMMAND [arguments]

`)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range commands {
		fmt.Fprintf(table, "  %s\t%s\n", strings.TrimSpace(c.name+" "+c.operands), c.purpose)
	}
	table.Flush()
	fmt.Fprintf(w, `
Every command takes -vault-url URL and -json; COMMAND -h lists its other flags. The
vault's URL may also be in %s.
Tokens come from DefaultAzureCredential. The exit code is 0 when the command is done,
1 when the vault refused it or could not be reached, and 2 when the command line is
wrong.
`, strings.Join(urlVariables, ", "))
}

// command is one command.
type command struct {
	name     string
	operands string // in capitals, separated by spaces
	purpose  string
	// flags declares those of the command and returns what it does, with its
	// operands.
	flags func(*flag.FlagSet) func(context.Context, *run, []string) error
}

// start parses the arguments of the command and runs it.
func (c command) start(ctx context.Context, cfg Config) error {
	set := flag.NewFlagSet(c.name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	r := &run{Config: cfg}
	vault := set.String("vault-url", "", "`URL` of the vault")
	set.BoolVar(&r.json, "json", false, "print the vault's answer in JSON")
	do := c.flags(set)
	operands, err := parse(set, cfg.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(cfg.Stdout, "usage: handler ops %s\n\n%s\n\n", strings.TrimSpace(c.name+" [flags] "+c.operands), c.purpose)
		set.SetOutput(cfg.Stdout)
		set.PrintDefaults()
		return err
	}
	if err != nil {
		return UsageError(fmt.Sprintf("ops %s: %v; `handler ops %s -h` lists the flags", c.name, err, c.name))
	}
	switch want := strings.Fields(c.operands); {
	case len(operands) == len(want):
	case len(want) == 0:
		return UsageError(fmt.Sprintf("ops %s takes no argument %q", c.name, operands[0]))
	default:
		return UsageError(fmt.Sprintf("ops %s takes %s after its flags: %q is not that", c.name, c.operands, strings.Join(operands, " ")))
	}
	for _, name := range urlVariables {
		if *vault == "" {
			*vault = cfg.Getenv(name)
		}
	}
	base, err := url.Parse(strings.TrimSuffix(*vault, "/"))
	switch {
	case *vault == "":
		return UsageError("the vault's URL is missing: give -vault-url or set " + urlVariables[0])
	case err != nil || base.Scheme != "https" || base.Host == "" || base.Path != "" || base.RawQuery != "" || base.User != nil:
		return UsageError(fmt.Sprintf("the vault's URL %q is not of the form https://HOST", *vault))
	}
	r.client = newClient(base, cfg.Transport, cfg.Credential)
	return do(ctx, r, operands)
}

// parse parses flags wherever they stand among the operands.
func parse(set *flag.FlagSet, args []string) (operands []string, err error) {
	for {
		if err := set.Parse(args); err != nil {
			return nil, err
		}
		rest := set.Args()
		if len(rest) == 0 {
			return operands, nil
		}
		if len(rest) < len(args) && args[len(args)-len(rest)-1] == "--" {
			return append(operands, rest...), nil
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
}
