package settings

import (
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
)

// acmeConfig is a CA that speaks ACME. Files are PEM.
type acmeConfig struct {
	Directory       string       `json:"directory"`
	Hosts           []string     `json:"hosts"`           // besides the directory's that its URLs may name
	Roots           string       `json:"roots"`           // file of certificates that verify a private CA's server
	ExternalAccount bool         `json:"externalAccount"` // issuer objects need credentials: key id and HMAC key
	Curves          []string     `json:"curves"`          // of the EC keys that the CA certifies; P-256 and P-384 unless set
	PreferredChain  string       `json:"preferredChain"`  // common name of a root
	HTTP01          bool         `json:"http01"`          // prove names that lead to this app
	AzureZones      []string     `json:"azureZones"`      // resource ids of zones in Azure DNS
	Hooks           []hookConfig `json:"hooks"`           // other DNS
	DNSPersist      bool         `json:"dnsPersist"`      // prove names by records that people publish once
	Nameservers     []string     `json:"nameservers"`     // host:port to ask instead of the authoritative ones
}

// hookConfig is a web hook that changes TXT records.
type hookConfig struct {
	Zones        []string `json:"zones"`
	URL          string   `json:"url"`
	TokenSetting string   `json:"tokenSetting"` // app setting that holds the bearer token
	Roots        string   `json:"roots"`

	token string // the setting's value
}

func (c *acmeConfig) open(b Backend) (provider.Provider, error) {
	roots, err := readRoots(c.Roots)
	if err != nil {
		return nil, err
	}
	accounts := b.Accounts()
	cfg := acme.Config{
		Directory: acme.Directory{
			URL:             c.Directory,
			Hosts:           c.Hosts,
			Roots:           roots,
			ExternalAccount: c.ExternalAccount,
			PreferredChain:  c.PreferredChain,
			Curves:          c.Curves,
		},
		LoadAccount: accounts.Load,
		SaveAccount: accounts.Save,
		Log:         b.Log,
	}
	if c.HTTP01 {
		challenges := b.Challenges()
		cfg.Tokens = acme.Tokens{Put: challenges.Put, Remove: challenges.Remove}
	}
	if c.DNSPersist || len(c.AzureZones)+len(c.Hooks) > 0 {
		if cfg.DNS, err = c.openDNS(b); err != nil {
			return nil, err
		}
	}
	return acme.New(cfg)
}

func (c *acmeConfig) openDNS(b Backend) (*acme.DNS, error) {
	cfg := acme.DNSConfig{AzureZones: c.AzureZones, Credential: b.Credential, Nameservers: c.Nameservers}
	for _, h := range c.Hooks {
		roots, err := readRoots(h.Roots)
		if err != nil {
			return nil, err
		}
		cfg.Hooks = append(cfg.Hooks, acme.Hook{Zones: h.Zones, URL: h.URL, Token: h.token, Roots: roots})
	}
	return acme.NewDNS(cfg)
}

// HTTP01 reports whether any provider proves names by files of this app.
func (s Settings) HTTP01() bool {
	for _, p := range s.Providers {
		if p.ACME != nil && p.ACME.HTTP01 {
			return true
		}
	}
	return false
}
