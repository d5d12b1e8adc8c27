package events

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/certwright/certwright/handler/internal/httpsig"
	"github.com/certwright/certwright/handler/internal/provider/egress"
	"github.com/certwright/certwright/handler/internal/vault"
)

// minKey is the least length of a signature's key in bytes: that of the hash.
// RFC 2104 section 3.
const minKey = 32

// maxExcerpt bounds what is kept of an answer's body, in bytes.
const maxExcerpt = 512

// EndpointConfig is what an Endpoint is made of. URL, KeyID, Key and Vault are
// required.
type EndpointConfig struct {
	// URL takes the events by POST: https, and nobody in it.
	URL string

	// KeyID and Key sign what is sent: a name in printable ASCII, and at least
	// 32 bytes.
	KeyID string
	Key   []byte

	// Types are what the endpoint is told of; nil: everything.
	Types []vault.EventType

	// Roots verify the endpoint; nil: the system's.
	Roots *x509.CertPool

	// Vault is the URL under which receivers know the vault.
	Vault string

	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Endpoint is a destination that takes events by HTTPS.
type Endpoint struct {
	cfg     EndpointConfig
	source  source
	client  *http.Client
	secrets []string // that the URL may hold
}

var _ vault.Destination = (*Endpoint)(nil)

// NewEndpoint checks cfg and makes an Endpoint of it. It touches no network. No
// error holds the URL, whose query may be a secret.
func NewEndpoint(cfg EndpointConfig) (*Endpoint, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return nil, errors.New("the URL is not of the form https://HOST/PATH")
	case !httpsig.IsKeyID(cfg.KeyID):
		return nil, fmt.Errorf("the name of the key %q is not printable ASCII", cfg.KeyID)
	case len(cfg.Key) < minKey:
		return nil, fmt.Errorf("the key has %d bytes: must be at least %d", len(cfg.Key), minKey)
	case cfg.Types != nil && len(cfg.Types) == 0:
		return nil, errors.New("there are no types of events to tell of")
	}
	for _, t := range cfg.Types {
		if !slices.Contains(vault.EventTypes, t) {
			return nil, fmt.Errorf("there are no events of type %q, but %q", t, vault.EventTypes)
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Endpoint{cfg: cfg, secrets: egress.URLSecrets(u)}
	if e.source, err = newSource(cfg.Vault); err != nil {
		return nil, err
	}
	e.client, err = egress.NewClient(egress.Config{Hosts: []string{u.Host}, Roots: cfg.Roots})
	return e, err
}

// Wants implements vault.Destination.
func (e *Endpoint) Wants(event vault.Event) bool {
	return e.cfg.Types == nil || slices.Contains(e.cfg.Types, event.Type)
}

// Deliver posts the event, signed.
func (e *Endpoint) Deliver(ctx context.Context, event vault.Event) error {
	content, err := e.source.encode(event)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(egress.WithSecrets(ctx, e.secrets...), http.MethodPost, e.cfg.URL, bytes.NewReader(content))
	if err != nil {
		return withoutURL(err)
	}
	req.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	req.Header.Set("User-Agent", "certwright")
	httpsig.Sign(req, content, e.cfg.KeyID, e.cfg.Key, e.cfg.Now())
	resp, err := e.client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return nil
	}
	excerpt, _ := io.ReadAll(io.LimitReader(resp.Body, maxExcerpt)) // what there is of it
	return answerError(resp, excerpt)
}

// Pauses after answers that say that time alone does not mend it.
//
// Event Grid page: Message delivery and retry.
const (
	pauseMisconfigured = 5 * time.Minute
	pauseTimedOut      = 2 * time.Minute
	pauseUnavailable   = 30 * time.Second
)

// answerError is what an answer other than 2xx means. Event Grid gives up on 401
// and 403 too; here a key may be in the middle of being changed.
func answerError(resp *http.Response, excerpt []byte) error {
	text := fmt.Sprintf("answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if words := printable(string(excerpt)); words != "" {
		text += ": " + words
	}
	e := &vault.DeliveryError{Err: errors.New(text), After: egress.RetryAfter(resp.Header)}
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		e.Refused = true
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		e.After = max(e.After, pauseMisconfigured)
	case http.StatusRequestTimeout:
		e.After = max(e.After, pauseTimedOut)
	case http.StatusServiceUnavailable:
		e.After = max(e.After, pauseUnavailable)
	}
	return e
}

// withoutURL is err without the URL that net/http puts before it.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("calling the endpoint: %w", e.Err)
	}
	return fmt.Errorf("calling the endpoint: %w", err)
}

// printable is s on one line, without what is not text.
func printable(s string) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	return strings.Join(words, " ")
}
