package digicert

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// DefaultURL is the base of the Services API; accounts of CertCentral Europe have
// https://certcentral.digicert.eu/services/v2.
const DefaultURL = "https://www.digicert.com/services/v2"

// Certificate types: a policy's issuer.cty, in any case of letters.
const (
	TypeOV = "OV-SSL" // also where a policy names none
	TypeEV = "EV-SSL"
)

// defaultProducts are CertCentral's identifiers of what is ordered.
var defaultProducts = map[string]string{TypeOV: "ssl_basic", TypeEV: "ssl_ev_basic"}

// defaultListingDelay is far longer than an order takes to show in the list.
const defaultListingDelay = 5 * time.Minute

// Config is what a Provider is made of. The zero value is complete.
type Config struct {
	// URL is the base of the Services API, https://HOST/PATH; DefaultURL when
	// empty. Only its host is ever called.
	URL string

	// Roots verify the server; nil: the system's.
	Roots *x509.CertPool

	// Products are identifiers of products by certificate type, TypeOV and
	// TypeEV, in place of ssl_basic and ssl_ev_basic.
	Products map[string]string

	// Approval leaves the approval of orders and revocations to people at
	// CertCentral. Otherwise it is skipped, as far as the API key may do so.
	Approval bool

	// ListingDelay is how long after an order the list of orders may not show
	// it, clocks that differ and CertCentral's own slowness included; 5 min when
	// zero.
	ListingDelay time.Duration

	// Now is the clock; time.Now when nil.
	Now func() time.Time

	// Log is discarded when nil.
	Log *slog.Logger
}

// Provider takes requests to CertCentral.
type Provider struct {
	cfg    Config
	base   *url.URL
	client *http.Client
}

var (
	_ provider.Provider      = (*Provider)(nil)
	_ provider.Canceler      = (*Provider)(nil)
	_ provider.Releaser      = (*Provider)(nil)
	_ provider.IssuerChecker = (*Provider)(nil)
	_ provider.PolicyChecker = (*Provider)(nil)
	_ provider.Revoker       = (*Provider)(nil)
)

// productID is the form of a product's identifier, a segment of a path.
var productID = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

// New checks cfg and makes a Provider of it. It touches no network.
func New(cfg Config) (*Provider, error) {
	if cfg.URL == "" {
		cfg.URL = DefaultURL
	}
	base, err := egress.BaseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("CertCentral %w", err)
	}
	products := maps.Clone(defaultProducts)
	for name, id := range cfg.Products {
		if products[name] == "" || !productID.MatchString(id) {
			return nil, fmt.Errorf("CertCentral %q: product %q of certificate type %q: the types are %s and %s, products are named as ssl_basic is",
				cfg.URL, id, name, TypeOV, TypeEV)
		}
		products[name] = id
	}
	cfg.Products = products
	switch {
	case cfg.ListingDelay < 0:
		return nil, fmt.Errorf("CertCentral %q: a listing delay of %s", cfg.URL, cfg.ListingDelay)
	case cfg.ListingDelay == 0:
		cfg.ListingDelay = defaultListingDelay
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	client, err := egress.NewClient(egress.Config{Hosts: []string{base.Host}, Roots: cfg.Roots, MaxBody: maxBody})
	if err != nil {
		return nil, fmt.Errorf("CertCentral %q: %w", cfg.URL, err)
	}
	return &Provider{cfg, base, client}, nil
}

// Step brings an operation to its order, or looks at the order.
func (p *Provider) Step(ctx context.Context, req provider.Request, saved json.RawMessage) (json.RawMessage, provider.Outcome) {
	s, err := decodeState(saved)
	if err != nil {
		return saved, provider.Retry(time.Time{}, err)
	}
	var out provider.Outcome
	switch {
	case s.Order != 0:
		out = p.poll(ctx, req, s)
	case s.Intent == nil:
		out = p.intend(req, s)
	case s.Intent.own(req):
		out = p.send(ctx, req, s)
	default:
		out = p.reconcile(ctx, req, s)
	}
	return s.encode(), out
}
