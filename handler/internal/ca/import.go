package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/certwright/certwright/handler/internal/provider/privateca"
)

const importUsage = `Brings a CA that exists: its certificate and those above it become the provider's
chain, its key goes where the provider has it. Without -key the key must be there,
as after handler ca make -request. The chain of a CA that was renewed with its key
takes the place of the old one.
`

// maxKeyFile bounds a key in PEM, in bytes.
const maxKeyFile = 64 << 10

// importCA brings a CA.
func importCA(ctx context.Context, cfg Config, args []string) error {
	flags := newFlags("import", importUsage, cfg)
	provider := flags.String("provider", "", "the CA's `provider`")
	chainFile := flags.String("chain", "", "`file` of the CA's certificate and those above it, PEM")
	keyFile := flags.String("key", "", "`file` of the CA's key, PEM, not encrypted; - is standard input")
	if err := flags.parse(args); err != nil {
		return err
	}
	ca, err := oneCA(*provider, cfg)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(*chainFile)
	if err != nil {
		return fmt.Errorf("reading the chain: %w", err)
	}
	chain, err := privateca.ParseChain(text)
	if err != nil {
		return fmt.Errorf("reading the chain in %q: %w", *chainFile, err)
	}
	if err := ca.checkSuccession(chain); err != nil {
		return err
	}
	if err := ca.importKey(ctx, chain, *keyFile, cfg); err != nil {
		return err
	}
	if err := ca.ReplaceChain(chain); err != nil {
		return err
	}
	return ca.show(ctx, cfg)
}

// checkSuccession refuses a chain that would make another CA of this one.
func (ca ownCA) checkSuccession(chain []*x509.Certificate) error {
	last, err := ca.ReadChain()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(last[0].RawSubjectPublicKeyInfo, chain[0].RawSubjectPublicKeyInfo) {
		return fmt.Errorf("the provider %q is the CA %q, which has another key", ca.provider, last[0].Subject)
	}
	return nil
}

// importKey brings the key of a chain's CA from a file, or checks that it is
// there when no file is given.
func (ca ownCA) importKey(ctx context.Context, chain []*x509.Certificate, file string, cfg Config) error {
	there, err := ca.key.Find(ctx, chain[0].PublicKey)
	switch {
	case err == nil:
		return privateca.CheckKey(chain, there)
	case !errors.Is(err, privateca.ErrNoKey):
		return err
	case file == "":
		return fmt.Errorf("the CA's key is not %s: give it with -key", ca.key)
	}
	key, err := readKey(file, cfg.Stdin)
	if err == nil {
		err = privateca.CheckKey(chain, key)
	}
	if err != nil {
		return err
	}
	return ca.key.Store(ctx, key)
}

// readKey reads a key from a file, or from in when its name is -.
func readKey(file string, in io.Reader) (crypto.Signer, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading the CA's key: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("reading the CA's key: %w", err)
	}
	defer clear(text)
	key, err := privateca.ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("reading the CA's key: %w", err)
	}
	return key, nil
}
