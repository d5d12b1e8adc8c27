package settings

import (
	"context"
	"crypto"
	"errors"
	"time"

	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
)

// A PrivateCA is the configuration of a CA of one's own. Its key stays in Key Vault or is sealed in
// storage; in development it may be a file.
type PrivateCA struct {
	Chain   string `json:"chain"`   // file: the CA's certificate and those above it, PEM
	KeyID   string `json:"keyId"`   // https://VAULT/keys/NAME/VERSION; the app's identity needs the role Key Vault Crypto User
	Sealed  bool   `json:"sealed"`  // instead: the key that handler ca brought to storage
	KeyFile string `json:"keyFile"` // instead, in development: PEM

	MaxValidityDays int              `json:"maxValidityDays"`
	KeyUsages       []string         `json:"keyUsages"` // Key Vault's names
	EKUs            []string         `json:"ekus"`      // dotted
	NameConstraints *names.Permitted `json:"names"`     // nil: all that the CA's own certificates permit
	SubordinateCAs  bool             `json:"subordinateCAs"`
	CRL             *bool            `json:"crl"` // publish a CRL; as there are crlUrls unless set
	CRLURLs         []string         `json:"crlUrls"`
	IssuerURLs      []string         `json:"issuerUrls"`
}

func (c *PrivateCA) open(b Backend) (provider.Provider, error) {
	if c.Chain == "" {
		return nil, errors.New("set chain, the file of the CA's certificate and those above it")
	}
	if _, err := c.KeyPlace(b); err != nil {
		return nil, err
	}
	ca, err := c.openCA(b)
	if errors.Is(err, errNoChain) {
		return &AwaitedCA{cfg: c, backend: b}, nil
	}
	if err != nil {
		return nil, err
	}
	return ca, nil
}

// instant reports whether the key is opened without a call to Key Vault.
func (c *PrivateCA) instant(b Backend) bool { return c.KeyFile != "" || c.Sealed && b.LocalKEK }

// openCA makes the CA of its chain.
func (c *PrivateCA) openCA(b Backend) (*privateca.Provider, error) {
	chain, err := c.ReadChain()
	if err != nil {
		return nil, err
	}
	place, err := c.KeyPlace(b)
	if err != nil {
		return nil, err
	}
	cfg := privateca.Config{
		Chain:   chain,
		Key:     func(ctx context.Context) (crypto.Signer, error) { return place.Find(ctx, chain[0].PublicKey) },
		Instant: c.instant(b),
		Profile: c.profile(),
		Log:     b.Log,
	}
	if _, ok := place.(KeyInFile); ok { // a wrong one is reported at start
		key, err := place.Find(context.Background(), nil)
		if err == nil {
			err = privateca.CheckKey(chain, key)
		}
		if err != nil {
			return nil, err
		}
		cfg.Key = func(context.Context) (crypto.Signer, error) { return key, nil }
	}
	if c.PublishesCRL() {
		name := CAName(chain[0])
		cfg.LoadCRL = func(ctx context.Context) ([]byte, string, error) { return b.CRLs.LoadCRL(ctx, name) }
		cfg.SaveCRL = func(ctx context.Context, crl []byte, etag string) error { return b.CRLs.SaveCRL(ctx, name, crl, etag) }
	}
	return privateca.New(cfg)
}

// PublishesCRL reports whether the CA publishes a CRL.
func (c *PrivateCA) PublishesCRL() bool {
	if c.CRL != nil {
		return *c.CRL
	}
	return len(c.CRLURLs) > 0
}

func (c *PrivateCA) profile() privateca.Profile {
	return privateca.Profile{
		MaxValidity:     time.Duration(c.MaxValidityDays) * 24 * time.Hour,
		KeyUsages:       c.KeyUsages,
		EKUs:            c.EKUs,
		NameConstraints: c.NameConstraints,
		SubordinateCAs:  c.SubordinateCAs,
		CRLURLs:         c.CRLURLs,
		IssuerURLs:      c.IssuerURLs,
	}
}
