package settings

import (
	"context"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/webhook"
)

// webhookConfig is a CA behind our own HTTP contract.
type webhookConfig struct {
	URL            string `json:"url"`
	Authentication string `json:"authentication"` // signature (unless set) or bearer
	Audience       string `json:"audience"`       // with bearer: of tokens of the app's own identity, instead of the issuer object's
	Vault          string `json:"vault"`          // what the CA is told is the vault
	Roots          string `json:"roots"`
}

func (c *webhookConfig) open(b Backend) (provider.Provider, error) {
	roots, err := readRoots(c.Roots)
	if err != nil {
		return nil, err
	}
	cfg := webhook.Config{URL: c.URL, Roots: roots, Vault: c.Vault, Log: b.Log}
	switch c.Authentication {
	case "", "signature":
	case "bearer":
		cfg.Authentication = webhook.Bearer
	default:
		return nil, fmt.Errorf("authentication %q is neither signature nor bearer", c.Authentication)
	}
	if c.Audience != "" {
		scope := policy.TokenRequestOptions{Scopes: []string{strings.TrimSuffix(c.Audience, "/") + "/.default"}}
		cfg.Token = func(ctx context.Context) (string, error) {
			token, err := b.Credential.GetToken(ctx, scope)
			return token.Token, err
		}
	}
	return webhook.New(cfg)
}
