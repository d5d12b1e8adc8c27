package acme

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"
)

// ErrNoRenewalInfo says that the CA does not suggest times of renewal.
var ErrNoRenewalInfo = errors.New("the CA offers no renewal information")

// RenewalInfo is when a CA wants a certificate to be renewed. RFC 9773 section
// 4.2.
type RenewalInfo struct {
	Start, End  time.Time     // the window that the CA suggests
	At          time.Time     // a random time in it; to be kept as long as the window stays
	Explanation string        // URL of a page for people, may be empty
	Again       time.Duration // when to ask again, 1 minute to 1 day
}

// Bounds of how soon renewal information is asked for again. RFC 9773 section
// 4.3.
const (
	minRenewalPoll     = time.Minute
	maxRenewalPoll     = 24 * time.Hour
	defaultRenewalPoll = 6 * time.Hour
)

// RenewalInfo asks the CA when to renew a certificate that it issued. The error
// is ErrNoRenewalInfo if it gives no such advice.
func (p *Provider) RenewalInfo(ctx context.Context, certificate *x509.Certificate) (RenewalInfo, error) {
	info, err := p.renewalInfo(ctx, certificate)
	if err != nil {
		return RenewalInfo{}, fmt.Errorf("asking when to renew %x: %w", certificate.SerialNumber, err)
	}
	return info, nil
}

func (p *Provider) renewalInfo(ctx context.Context, certificate *x509.Certificate) (RenewalInfo, error) {
	if err := p.reach(ctx); err != nil {
		return RenewalInfo{}, err
	}
	directory, err := p.client.GetDirectory(ctx)
	if err != nil {
		return RenewalInfo{}, err
	}
	if directory.RenewalInfo == "" {
		return RenewalInfo{}, ErrNoRenewalInfo
	}
	id, err := acmez.ARIUniqueIdentifier(certificate)
	if err != nil {
		return RenewalInfo{}, err
	}
	// Not through the library, which sleeps between tries.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, directory.RenewalInfo+"/"+id, nil)
	if err != nil {
		return RenewalInfo{}, err
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := p.http.Do(req)
	if err != nil {
		return RenewalInfo{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return RenewalInfo{}, fmt.Errorf("the CA answers %s", resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return RenewalInfo{}, err
	}
	var answer acmez.RenewalInfo
	if err := json.Unmarshal(body, &answer); err != nil {
		return RenewalInfo{}, err
	}
	start, end := answer.SuggestedWindow.Start, answer.SuggestedWindow.End
	if start.IsZero() || !end.After(start) {
		return RenewalInfo{}, fmt.Errorf("the CA suggests the impossible window from %s to %s", start, end)
	}
	offset, err := rand.Int(p.cfg.Rand, big.NewInt(int64(end.Sub(start))))
	if err != nil {
		return RenewalInfo{}, fmt.Errorf("choosing a time: %w", err)
	}
	again := retryAfter(resp.Header)
	if again == 0 {
		again = defaultRenewalPoll
	}
	return RenewalInfo{
		Start:       start.UTC(),
		End:         end.UTC(),
		At:          start.Add(time.Duration(offset.Int64())).UTC(),
		Explanation: answer.ExplanationURL,
		Again:       min(max(again, minRenewalPoll), maxRenewalPoll),
	}, nil
}
