package main

import (
	"fmt"

	"github.com/certwright/certwright/handler/internal/issuers/webhook"
	"github.com/certwright/certwright/handler/internal/vault"
)

// webhookConfig is a CA behind our own HTTP contract.
type webhookConfig struct {
	URL            string `json:"url"`
	Authentication string `json:"authentication"` // signature (unless set) or bearer
	Roots          string `json:"roots"`
}

func (c *webhookConfig) open(s surroundings) (vault.Issuer, error) {
	roots, err := readRoots(c.Roots)
	if err != nil {
		return nil, err
	}
	cfg := webhook.Config{URL: c.URL, Roots: roots, Log: s.log}
	switch c.Authentication {
	case "", "signature":
	case "bearer":
		cfg.Authentication = webhook.Bearer
	default:
		return nil, fmt.Errorf("authentication %q is neither signature nor bearer", c.Authentication)
	}
	return webhook.New(cfg)
}
