package acme

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// RenewalInfo asks the CA when to renew a certificate that it issued. RFC 9773.
func (p *Provider) RenewalInfo(ctx context.Context, _ provider.Issuer, certificate *x509.Certificate) (provider.RenewalInfo, error) {
	info, err := p.renewalInfo(ctx, certificate)
	if err != nil {
		return provider.RenewalInfo{}, fmt.Errorf("asking when to renew %x: %w", certificate.SerialNumber, err)
	}
	return info, nil
}

func (p *Provider) renewalInfo(ctx context.Context, certificate *x509.Certificate) (provider.RenewalInfo, error) {
	if err := p.reach(ctx); err != nil {
		return provider.RenewalInfo{}, err
	}
	directory, err := p.client.GetDirectory(ctx)
	if err != nil {
		return provider.RenewalInfo{}, err
	}
	if directory.RenewalInfo == "" {
		return provider.RenewalInfo{}, fmt.Errorf("%s offers no renewal information: %w", p.host, errors.ErrUnsupported)
	}
	id, err := acmez.ARIUniqueIdentifier(certificate)
	if err != nil {
		return provider.RenewalInfo{}, err
	}
	// Not through the library, which sleeps between tries.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, directory.RenewalInfo+"/"+id, nil)
	if err != nil {
		return provider.RenewalInfo{}, err
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := p.http.Do(req)
	if err != nil {
		return provider.RenewalInfo{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return provider.RenewalInfo{}, fmt.Errorf("the CA answers %s", resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return provider.RenewalInfo{}, err
	}
	var answer acmez.RenewalInfo
	if err := json.Unmarshal(body, &answer); err != nil {
		return provider.RenewalInfo{}, err
	}
	start, end := answer.SuggestedWindow.Start, answer.SuggestedWindow.End
	if start.IsZero() || !end.After(start) {
		return provider.RenewalInfo{}, fmt.Errorf("the CA suggests the impossible window from %s to %s", start, end)
	}
	return provider.RenewalInfo{
		Start:       start.UTC(),
		End:         end.UTC(),
		Explanation: answer.ExplanationURL,
		Again:       egress.RetryAfter(resp.Header),
	}, nil
}
