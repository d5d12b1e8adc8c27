package stepca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/certwright/certwright/handler/internal/provider"
)

// Certificates are the server's intermediates and roots. They are for anybody to
// read; a server that does not publish one of the two lists is asked for the
// other.
//
// Source: Smallstep, certificates, api/api.go: GET /intermediates and /roots.
func (p *Provider) Certificates(ctx context.Context, _ provider.Issuer) ([][]byte, error) {
	var list [][]byte
	var failed error
	for _, path := range []string{"/1.0/intermediates", "/1.0/roots"} {
		certs, err := p.published(ctx, path)
		list, failed = append(list, certs...), errors.Join(failed, err)
	}
	if len(list) > 0 {
		return list, nil
	}
	return nil, failed
}

// published is one of the server's lists of certificates.
func (p *Provider) published(ctx context.Context, path string) ([][]byte, error) {
	answer, err := p.send(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return nil, err
	}
	var a struct {
		Certificates []string `json:"crts"`
	}
	err = json.Unmarshal(answer, &a)
	var certs [][]byte
	if err == nil {
		certs, err = parseCertificates(a.Certificates)
	}
	if err != nil {
		return nil, fmt.Errorf("%s gave a malformed answer to %s: %w", p.base.Host, path, err)
	}
	return certs, nil
}
