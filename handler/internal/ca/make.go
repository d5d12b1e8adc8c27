package ca

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
)

const makeUsage = `Makes a root: a key, unless there is one, and a certificate that it signs for
itself, written to the provider's chain. With -request it prints a CSR for a CA
above instead; bring what that one issues with handler ca import.
`

// makeCA makes a CA.
func makeCA(ctx context.Context, cfg Config, args []string) error {
	flags := newFlags("make", makeUsage, cfg)
	var (
		provider     = flags.String("provider", "", "the CA's `provider`")
		commonName   = flags.String("cn", "", "common `name` of the CA")
		organization = flags.String("o", "", "`organization` of the CA")
		country      = flags.String("c", "", "`country` of the CA, two letters")
		keyKind      = flags.String("key", "P-384", "`kind` of the key that is made: "+strings.Join(keyKinds, ", "))
		request      = flags.Bool("request", false, "print a CSR instead of making a root")
		root         privateca.Root
		permitted    names.Permitted
	)
	flags.IntVar(&root.Years, "years", 10, "how many years the root is valid, 1 to 30")
	flags.IntVar(&root.Depth, "depth", 0, "how many CAs may be in a chain below the root")
	list(flags.FlagSet, "dns", &permitted.DNSDomains, "the root's name constraints: DNS `domains`, separated by commas; with any of these, kinds without are excluded")
	list(flags.FlagSet, "emails", &permitted.EmailDomains, "mail `domains`, or addresses")
	list(flags.FlagSet, "uris", &permitted.URIDomains, "`hosts` of URIs, or domains with a leading dot")
	flags.Func("ips", "`networks` of addresses", func(text string) (err error) {
		permitted.IPRanges, err = parseNetworks(text)
		return err
	})
	if err := flags.parse(args); err != nil {
		return err
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, name := range []string{"years", "depth", "dns", "emails", "uris", "ips"} {
		if *request && given[name] {
			return UsageError(fmt.Sprintf("-%s cannot be combined with -request: the CA above decides it", name))
		}
	}
	if given["dns"] || given["emails"] || given["uris"] || given["ips"] {
		root.NameConstraints = &permitted
	}
	root.Subject = pkix.Name{CommonName: *commonName, Organization: optional(*organization), Country: optional(*country)}
	ca, err := oneCA(*provider, cfg)
	if err != nil {
		return err
	}
	if *request {
		return ca.request(ctx, root.Subject, *keyKind, cfg)
	}
	return ca.root(ctx, root, *keyKind, cfg)
}

// root makes a root.
func (ca ownCA) root(ctx context.Context, root privateca.Root, kind string, cfg Config) error {
	if _, err := os.Lstat(ca.Chain); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the provider %q has a CA already, in %q", ca.provider, ca.Chain)
	}
	var certificate *x509.Certificate
	err := ca.useKey(ctx, kind, func(key crypto.Signer) (err error) {
		certificate, err = root.Certify(key, cfg.Now(), rand.Reader)
		return err
	})
	if err != nil {
		return err
	}
	if err := ca.CreateChain([]*x509.Certificate{certificate}); err != nil {
		return err
	}
	return ca.show(ctx, cfg)
}

// request prints a CSR.
func (ca ownCA) request(ctx context.Context, subject pkix.Name, kind string, cfg Config) error {
	var der []byte
	err := ca.useKey(ctx, kind, func(key crypto.Signer) (err error) {
		der, err = privateca.RequestCA(subject, key)
		return err
	})
	if err != nil {
		return err
	}
	return pem.Encode(cfg.Stdout, &pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// useKey makes the CA's key, and stores it once it has been of use. A key that is
// there is used: a CA that was begun is gone on with, and a key in Key Vault was
// made by Key Vault.
func (ca ownCA) useKey(ctx context.Context, kind string, use func(crypto.Signer) error) error {
	key, err := ca.key.Find(ctx, nil)
	switch {
	case err == nil:
		return use(key)
	case !errors.Is(err, privateca.ErrNoKey):
		return err
	}
	properties, ok := parseKeyKind(kind)
	if !ok {
		return UsageError(fmt.Sprintf("%q is not a kind of key: must be one of %s", kind, strings.Join(keyKinds, ", ")))
	}
	if key, err = policy.GenerateKey(properties); err != nil {
		return err
	}
	if err := use(key); err != nil {
		return err
	}
	return ca.key.Store(ctx, key)
}

// keyKinds are the kinds of key that can be made.
var keyKinds = []string{"P-256", "P-384", "P-521", "RSA-2048", "RSA-3072", "RSA-4096"}

func parseKeyKind(kind string) (policy.KeyProperties, bool) {
	if size, ok := map[string]int{"RSA-2048": 2048, "RSA-3072": 3072, "RSA-4096": 4096}[kind]; ok {
		return policy.KeyProperties{Type: policy.KeyRSA, Size: size}, true
	}
	return policy.KeyProperties{Type: policy.KeyEC, Curve: kind}, slices.Contains(keyKinds, kind)
}

// list makes a flag of a list with commas.
func list(flags *flag.FlagSet, name string, to *[]string, usage string) {
	flags.Func(name, usage, func(text string) error {
		*to = strings.Split(text, ",")
		return nil
	})
}

// parseNetworks reads networks in CIDR notation.
func parseNetworks(text string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		network, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, err
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// optional is a list of a text, or of none.
func optional(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}
