package acme

import (
	"context"
	"encoding/pem"
	"fmt"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/provider"
)

// maxChain bounds a chain, in certificates.
const maxChain = chain.MaxIssued // certificates

// download fetches the certificate with its chain. RFC 8555 section 7.4.2.
func (s *step) download(ctx context.Context, order acmez.Order) (provider.Outcome, error) {
	offers, err := s.client.GetCertificateChain(withoutRenewalInfo(ctx), s.account, order.Certificate)
	if err != nil {
		// Without its type: there is a certificate, so no problem is the last word.
		return provider.Outcome{}, fmt.Errorf("downloading the certificate: %v", err) //nolint:errorlint // see above
	}
	var first [][]byte
	for _, offer := range offers {
		chain, top, err := parseChain(offer.ChainPEM)
		if err != nil {
			return provider.Outcome{}, fmt.Errorf("downloading the certificate: %w", err)
		}
		if first == nil {
			first = chain
		}
		if top == s.cfg.Directory.PreferredChain {
			return provider.Issued(chain), nil
		}
	}
	if s.cfg.Directory.PreferredChain != "" {
		s.cfg.Log.WarnContext(ctx, "ACME chain not offered", "host", s.host, "preferred", s.cfg.Directory.PreferredChain)
	}
	return provider.Issued(first), nil
}

// parseChain reads a chain in PEM, leaf first. top is the common name of the
// root that it leads to.
func parseChain(text []byte) (chain [][]byte, top string, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, "", fmt.Errorf("the chain holds a %q", block.Type)
		}
		certificate, err := bounded.Certificate(block.Bytes)
		if err != nil {
			return nil, "", fmt.Errorf("certificate %d of the chain: %w", len(chain)+1, err)
		}
		chain, top = append(chain, block.Bytes), certificate.Issuer.CommonName
	}
	if len(chain) == 0 || len(chain) > maxChain {
		return nil, "", fmt.Errorf("the chain has %d certificates: must be 1 to %d", len(chain), maxChain)
	}
	return chain, top, nil
}
