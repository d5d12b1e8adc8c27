package ca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/provider/privateca"
	"github.com/certwright/certwright/handler/internal/settings"
)

// showCAs prints what CAs are.
func showCAs(ctx context.Context, cfg Config, args []string) error {
	flags := newFlags("show", "Prints subject, key, validity, fingerprint and CRL of CAs.", cfg)
	provider := flags.String("provider", "", "the CA's `provider`; all unless set")
	if err := flags.parse(args); err != nil {
		return err
	}
	cas, err := ownCAs(*provider, cfg)
	if err != nil {
		return err
	}
	var errs []error
	for _, ca := range cas {
		errs = append(errs, ca.show(ctx, cfg))
	}
	return errors.Join(errs...)
}

// show prints what the CA is.
func (ca ownCA) show(ctx context.Context, cfg Config) error {
	chain, err := ca.ReadChain()
	if err != nil {
		return fmt.Errorf("provider %q: %w", ca.provider, err)
	}
	file := settings.CAFiles + settings.CAName(chain[0])
	_, err = fmt.Fprintf(cfg.Stdout, "provider %s\n%s  signs with %s\n  certificate at %s.cer\n  CRL at %s.crl: %s\n",
		ca.provider, privateca.Describe(chain), ca.keyState(ctx, chain), file, file, ca.crlState(ctx, chain))
	return err
}

// keyState tells people where the CA's key is, and whether it is there.
func (ca ownCA) keyState(ctx context.Context, chain []*x509.Certificate) string {
	key, err := ca.key.Find(ctx, chain[0].PublicKey)
	if err == nil {
		err = privateca.CheckKey(chain, key)
	}
	text := fmt.Sprintf("%s, %s", keyName(chain[0].PublicKey), ca.key)
	if err != nil {
		text += fmt.Sprintf(": NOT USABLE: %v", err)
	}
	return text
}

// crlState tells people which CRL is published.
func (ca ownCA) crlState(ctx context.Context, chain []*x509.Certificate) string {
	if !ca.PublishesCRL() {
		return "none, as it is not set"
	}
	der, _, err := ca.backend.CRLs.LoadCRL(ctx, settings.CAName(chain[0]))
	switch {
	case err != nil:
		return fmt.Sprintf("it cannot be read: %v", err)
	case der == nil:
		return "not published yet"
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Sprintf("it cannot be read: %v", err)
	}
	revoked := "1 certificate"
	if n := len(crl.RevokedCertificateEntries); n != 1 {
		revoked = fmt.Sprintf("%d certificates", n)
	}
	return fmt.Sprintf("number %d from %s to %s, %s revoked", crl.Number,
		crl.ThisUpdate.Format(time.RFC3339), crl.NextUpdate.Format(time.RFC3339), revoked)
}

// keyName is a public key's type for people.
func keyName(public crypto.PublicKey) string {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA on " + key.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA of %d bits", key.N.BitLen())
	default:
		return fmt.Sprintf("%T", public)
	}
}
