package acme

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/provider"
)

// Directory is a CA's ACME server. To configure one is to agree to its terms of
// service.
type Directory struct {
	// URL of the directory object. RFC 8555 section 7.1.1.
	URL string

	// Hosts, host or host:port, that the CA's other URLs may name besides the
	// URL's own. Nothing else is ever called.
	Hosts []string

	// Roots verify the server, for a private CA; nil: the system's.
	Roots *x509.CertPool

	// ExternalAccount says that the CA binds accounts to accounts of its
	// customers: an issuer object needs credentials. RFC 8555 section 7.3.4.
	ExternalAccount bool

	// PreferredChain is the common name of the root at whose chain to aim where
	// the CA offers several; empty, or not offered: the CA's first.
	PreferredChain string

	// Curves of the EC keys that the CA certifies, among P-256, P-384 and P-521;
	// the first two when nil, as with public CAs.
	Curves []string
}

// Tokens publish the files of HTTP-01, which any instance of the app may be
// asked for as /.well-known/acme-challenge/TOKEN. RFC 8555 section 8.3.
type Tokens struct {
	// Put publishes a key authorization under its token: letters, digits, - and
	// _, at most 128. Putting it again is not an error.
	Put func(ctx context.Context, token, keyAuthorization string) error

	// Remove ends that. Removing a missing one is not an error.
	Remove func(ctx context.Context, token string) error
}

// Config is what a Provider is made of. Directory, LoadAccount and SaveAccount
// are required, and so is a way to prove names: DNS or Tokens.
type Config struct {
	// Directory is the CA.
	Directory Directory

	// DNS proves names, wildcards among them, by TXT records; nil: by Tokens
	// only.
	DNS *DNS

	// Tokens prove host names that lead to this app, and IP addresses; zero: by
	// DNS only.
	Tokens Tokens

	// LoadAccount returns the account key that SaveAccount keeps under an id of
	// 32 hexadecimal digits, nil when there is none.
	LoadAccount func(ctx context.Context, id string) ([]byte, error)

	// SaveAccount keeps an account key (PKCS #8, to be sealed) under an id for
	// good, unless there is one already, and returns the one that is kept.
	SaveAccount func(ctx context.Context, id string, key []byte) ([]byte, error)

	// Now is the clock; time.Now when nil.
	Now func() time.Time

	// Log is discarded when nil.
	Log *slog.Logger
}

// Provider obtains certificates from one CA. What it keeps in memory is only a
// copy; any number of Providers, in any number of processes, may serve the same
// CA.
type Provider struct {
	cfg    Config
	host   string // of the directory, for messages
	http   *http.Client
	client *acmez.Client

	reached atomic.Bool // the CA answered once

	mu       sync.Mutex
	accounts map[string]remembered // by accountID
}

var (
	_ provider.Provider       = (*Provider)(nil)
	_ provider.Releaser       = (*Provider)(nil)
	_ provider.IssuerChecker  = (*Provider)(nil)
	_ provider.PolicyChecker  = (*Provider)(nil)
	_ provider.Revoker        = (*Provider)(nil)
	_ provider.RenewalAdviser = (*Provider)(nil)
	_ provider.OrderNamer     = (*Provider)(nil)

	_ provider.AccountReplacer = (*Provider)(nil)
)

// New checks cfg and makes a Provider of it. It touches no network.
func New(cfg Config) (*Provider, error) {
	directory, err := url.Parse(cfg.Directory.URL)
	switch {
	case err != nil || directory.Scheme != "https" || directory.Host == "":
		return nil, fmt.Errorf("ACME directory %q is not an https URL", cfg.Directory.URL)
	case cfg.LoadAccount == nil || cfg.SaveAccount == nil:
		return nil, errors.New("an ACME provider needs a place for its accounts")
	case (cfg.Tokens.Put == nil) != (cfg.Tokens.Remove == nil):
		return nil, errors.New("an ACME provider needs both functions for tokens, or none")
	case cfg.DNS == nil && cfg.Tokens.Put == nil:
		return nil, errors.New("an ACME provider needs DNS or tokens to prove names")
	}
	if cfg.Directory.Curves == nil {
		cfg.Directory.Curves = []string{"P-256", "P-384"}
	}
	for _, curve := range cfg.Directory.Curves {
		if !slices.Contains([]string{"P-256", "P-384", "P-521"}, curve) {
			return nil, fmt.Errorf("ACME directory %q: curve %q is unknown", cfg.Directory.URL, curve)
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	client, err := newHTTPClient(append([]string{directory.Host}, cfg.Directory.Hosts...), cfg.Directory.Roots)
	if err != nil {
		return nil, fmt.Errorf("ACME directory %q: %w", cfg.Directory.URL, err)
	}
	return &Provider{
		cfg:  cfg,
		host: directory.Host,
		http: client,
		client: &acmez.Client{
			Directory:  cfg.Directory.URL,
			HTTPClient: client,
			UserAgent:  userAgent,
			// Finalizing polls until its time is over; here it is over at once.
			PollTimeout: -1,
		},
		accounts: make(map[string]remembered),
	}, nil
}

// Step takes the order one step further.
func (p *Provider) Step(ctx context.Context, req provider.Request, saved json.RawMessage) (json.RawMessage, provider.Outcome) {
	state, err := decodeState(saved)
	if err != nil {
		return saved, provider.Retry(time.Time{}, err)
	}
	ctx, answer := watch(ctx)
	s := &step{Provider: p, req: req, state: state, answer: answer}
	out, err := s.take(ctx)
	if isProblem(err, acmez.ProblemTypeAccountDoesNotExist) {
		p.forget(req.Issuer)
		state.loseOrder()
	}
	switch {
	case isProblem(err, acmez.ProblemTypeUnauthorized) && p.wasReplaced(ctx, req.Issuer):
		out = next("The account was deactivated at the CA; another takes its place.")
	case err != nil:
		out = p.outcome(err, answer)
	}
	return state.encode(), out
}
