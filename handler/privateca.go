package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/certwright/certwright/handler/internal/issuers/privateca"
	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/vault"
)

// privateCAConfig is a CA of one's own. Its key stays in Key Vault or is sealed in
// storage; in development it may be a file.
type privateCAConfig struct {
	Chain   string `json:"chain"`   // file: the CA's certificate and those above it, PEM
	KeyID   string `json:"keyId"`   // https://VAULT/keys/NAME/VERSION; the app's identity needs the role Key Vault Crypto User
	Sealed  bool   `json:"sealed"`  // instead: the key that handler ca brought to storage
	KeyFile string `json:"keyFile"` // instead, in development: PEM

	MaxValidityDays int              `json:"maxValidityDays"`
	KeyUsages       []string         `json:"keyUsages"` // Key Vault's names
	EKUs            []string         `json:"ekus"`      // dotted
	Names           *names.Permitted `json:"names"`     // nil: all that the CA's own certificates permit
	SubordinateCAs  bool             `json:"subordinateCAs"`
	CRL             *bool            `json:"crl"` // publish a CRL; as there are crlUrls unless set
	CRLURLs         []string         `json:"crlUrls"`
	IssuerURLs      []string         `json:"issuerUrls"`
}

func (c *privateCAConfig) open(s surroundings) (vault.Issuer, error) {
	chain, err := c.readChain()
	if err != nil {
		return nil, err
	}
	place, err := c.keyPlace(s)
	if err != nil {
		return nil, err
	}
	cfg := privateca.Config{
		Chain:   chain,
		Key:     func(ctx context.Context) (crypto.Signer, error) { return place.find(ctx, chain[0].PublicKey) },
		Instant: c.KeyFile != "" || c.Sealed && s.localKEK, // else to open it may take a call to Key Vault
		Profile: c.profile(),
		Log:     s.log,
	}
	if _, ok := place.(keyInFile); ok { // a wrong one is reported at start
		key, err := place.find(context.Background(), nil)
		if err == nil {
			err = privateca.CheckKey(chain, key)
		}
		if err != nil {
			return nil, err
		}
		cfg.Key = func(context.Context) (crypto.Signer, error) { return key, nil }
	}
	if c.publishesCRL() {
		name := caName(chain[0])
		cfg.LoadCRL = func(ctx context.Context) ([]byte, string, error) { return s.crls.LoadCRL(ctx, name) }
		cfg.SaveCRL = func(ctx context.Context, crl []byte, etag string) error { return s.crls.SaveCRL(ctx, name, crl, etag) }
	}
	return privateca.New(cfg)
}

func (c *privateCAConfig) readChain() ([]*x509.Certificate, error) {
	text, err := os.ReadFile(c.Chain)
	if err != nil {
		return nil, fmt.Errorf("reading the chain: %w", err)
	}
	chain, err := privateca.ParseChain(text)
	if err != nil {
		return nil, fmt.Errorf("reading the chain in %q: %w", c.Chain, err)
	}
	return chain, nil
}

func (c *privateCAConfig) publishesCRL() bool {
	if c.CRL != nil {
		return *c.CRL
	}
	return len(c.CRLURLs) > 0
}

// caName names a CA's files, its CRL among them: its subject key identifier in
// hexadecimal. A CA that gets a new key gets a new CRL, and another provider with
// the same CA has the same.
func caName(ca *x509.Certificate) string { return hex.EncodeToString(ca.SubjectKeyId) }

func (c *privateCAConfig) profile() privateca.Profile {
	return privateca.Profile{
		MaxValidity:    time.Duration(c.MaxValidityDays) * 24 * time.Hour,
		KeyUsages:      c.KeyUsages,
		EKUs:           c.EKUs,
		Names:          c.Names,
		SubordinateCAs: c.SubordinateCAs,
		CRLURLs:        c.CRLURLs,
		IssuerURLs:     c.IssuerURLs,
	}
}
