package vaultpki

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"

	"github.com/certwright/certwright/handler/internal/provider"
)

// Certificates are those of the mount's default issuer and what is above it. They
// are for anybody to read.
//
// PKI secrets engine (API), "Read issuer certificate chain": GET /pki/ca_chain.
func (p *Provider) Certificates(ctx context.Context, o provider.Issuer) ([][]byte, error) {
	answer, err := p.send(ctx, o, http.MethodGet, p.cfg.Mount+"/ca_chain", "", nil)
	if err != nil {
		return nil, err
	}
	var list [][]byte
	for block, rest := pem.Decode(answer); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s gave a malformed chain: it has a %q", p.base.Host, block.Type)
		}
		list = append(list, block.Bytes)
	}
	return list, nil
}
