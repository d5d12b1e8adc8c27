package settings

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/certwright/certwright/handler/internal/provider/privateca"
)

// errNoChain says that a CA was not made yet.
var errNoChain = errors.New("there is no chain: handler ca make makes a CA, and handler ca import brings one")

// ReadChain reads the chain: the CA's certificate first. The error wraps
// fs.ErrNotExist when the file is not there.
func (c *PrivateCA) ReadChain() ([]*x509.Certificate, error) {
	text, err := os.ReadFile(c.Chain)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the chain: %w: %w", err, errNoChain)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the chain: %w", err)
	}
	chain, err := privateca.ParseChain(text)
	if err != nil {
		return nil, fmt.Errorf("reading the chain in %q: %w", c.Chain, err)
	}
	return chain, nil
}

// CreateChain writes the first chain of a CA. It is an error when the file is
// there.
func (c *PrivateCA) CreateChain(chain []*x509.Certificate) error {
	if err := writeNew(c.Chain, encodeChain(chain), 0o644); err != nil {
		return fmt.Errorf("writing the chain: %w", err)
	}
	return nil
}

// ReplaceChain writes a chain in place of the one that may be there.
func (c *PrivateCA) ReplaceChain(chain []*x509.Certificate) error {
	if err := replaceFile(c.Chain, encodeChain(chain)); err != nil {
		return fmt.Errorf("writing the chain: %w", err)
	}
	return nil
}

// encodeChain is a chain in PEM.
func encodeChain(chain []*x509.Certificate) []byte {
	var text []byte
	for _, c := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// writeNew writes a file that must not be there, in a folder that need not be.
func writeNew(name string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// replaceFile writes a file beside the one that it takes the place of, so that
// there is always one.
func replaceFile(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name())
	_, err = next.Write(content)
	if err = errors.Join(err, next.Chmod(0o644), next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), name)
}
