package settings

import (
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/vaultpki"
)

// vaultPKIConfig is a PKI secrets engine of HashiCorp Vault or OpenBao.
type vaultPKIConfig struct {
	URL          string   `json:"url"`
	Roots        string   `json:"roots"`
	Namespace    string   `json:"namespace"`
	Mount        string   `json:"mount"`        // pki unless set
	AppRoleMount string   `json:"appRoleMount"` // approle unless set
	Role         string   `json:"role"`         // for policies that choose none
	Roles        []string `json:"roles"`        // others that policies may choose
	Verbatim     bool     `json:"verbatim"`     // sign-verbatim instead of sign
}

func (c *vaultPKIConfig) open(Backend) (provider.Provider, error) {
	roots, err := readRoots(c.Roots)
	if err != nil {
		return nil, err
	}
	return vaultpki.New(vaultpki.Config{
		URL:          c.URL,
		Roots:        roots,
		Namespace:    c.Namespace,
		Mount:        c.Mount,
		AppRoleMount: c.AppRoleMount,
		Role:         c.Role,
		Roles:        c.Roles,
		Verbatim:     c.Verbatim,
	})
}
