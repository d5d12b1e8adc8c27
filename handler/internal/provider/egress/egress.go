// Package egress makes the HTTP clients with which providers call CAs, and the
// connections on which others hear of events.
//
// A CA's answers name URLs, and names lead where their owners want. Neither may
// lead a request to the platform's own services, to this program, or to anybody
// whom the server's configuration does not name.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Limits of one exchange with a host, unless configured.
const (
	exchangeTimeout = 20 * time.Second
	connectTimeout  = 5 * time.Second
	idleTimeout     = 30 * time.Second
	maxHeader       = 64 << 10 // bytes
	maxBody         = 1 << 20  // bytes
)

// Config says whom a client may call. Hosts is required.
type Config struct {
	// Hosts, as host or host:port, are the only ones that are called. The port
	// is 443 unless given. A name must not lead to this machine or its link; an
	// address, or localhost in lower case, is called as it is.
	Hosts []string

	// Roots verify the hosts; nil: the system's.
	Roots *x509.CertPool

	// Resolver finds the hosts' addresses; nil: the system's.
	Resolver *net.Resolver

	// Timeout bounds an exchange, from connecting to the last byte of the
	// answer; 20 s when zero.
	Timeout time.Duration

	// MaxBody bounds an answer's body, decompressed, in bytes; 1 MiB when zero.
	// A longer one cannot be read to its end.
	MaxBody int64
}

// NewClient makes a client that speaks https to the configured hosts and to
// nobody else. Its answers do not repeat the secrets of their requests. It returns redirects instead of following them and ignores the
// proxy variables of the environment. It touches no network.
func NewClient(cfg Config) (*http.Client, error) {
	if len(cfg.Hosts) == 0 {
		return nil, errors.New("an HTTP client needs hosts that it may call")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = exchangeTimeout
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = maxBody
	}
	t := &transport{maxBody: cfg.MaxBody}
	for _, host := range cfg.Hosts {
		u, err := url.Parse("https://" + host)
		if err != nil || u.Host != host || u.Hostname() == "" {
			return nil, fmt.Errorf("%q is not of the form host or host:port", host)
		}
		t.hosts = append(t.hosts, hostPort(u))
	}
	t.base = &http.Transport{
		DialContext:            dialer{cfg.Resolver}.dial,
		TLSClientConfig:        &tls.Config{RootCAs: cfg.Roots},
		TLSHandshakeTimeout:    connectTimeout,
		ForceAttemptHTTP2:      true,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       cfg.Timeout,
	}, nil
}

// hostPort is the host of an https URL in lower case with its port.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// transport keeps requests to the configured hosts and answers to their limit.
type transport struct {
	hosts   []string // host:port in lower case
	maxBody int64
	base    *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || !slices.Contains(t.hosts, hostPort(req.URL)) {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, fmt.Errorf("%s://%s is not https to a configured host (%s)", req.URL.Scheme, req.URL.Host, strings.Join(t.hosts, ", "))
	}
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, left: t.maxBody, limit: t.maxBody}
	redact(resp, secretsOf(req))
	return resp, nil
}

// body fails when more is read of it than its limit.
type body struct {
	io.ReadCloser
	left, limit int64
}

// Read implements io.Reader. It asks for a byte more than is left, to tell an
// end at the limit from more.
func (b *body) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		err = fmt.Errorf("the answer is longer than %d bytes", b.limit)
	}
	b.left -= int64(n)
	return n, err
}

// Dial connects to a configured host:port for another protocol than HTTP, under
// the rules of a client's hosts. resolver finds its address; nil: the system's.
func Dial(ctx context.Context, address string, resolver *net.Resolver) (net.Conn, error) {
	return dialer{resolver}.dial(ctx, "tcp", address)
}

// dialer connects to hosts.
type dialer struct{ resolver *net.Resolver }

// dial connects to an address, or to localhost, as it is, since only the
// configuration can have named it; a name must not lead to a reserved address.
// That is checked on the address that is connected to, after the look-up.
func (d dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	nd := net.Dialer{Timeout: connectTimeout, Resolver: d.resolver}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
		nd.Control = refuseReserved
	}
	return nd.DialContext(ctx, network, address)
}

// refuseReserved is a net.Dialer's Control.
func refuseReserved(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if addr := ap.Addr().Unmap(); reserved(addr) {
		return fmt.Errorf("the name leads to %s, which serves this machine only", addr)
	}
	return nil
}

// wireServer is where Azure serves a virtual machine's own configuration and
// keys. It is the one such address that is not link-local.
var wireServer = netip.AddrFrom4([4]byte{168, 63, 129, 16})

// reserved reports whether an address is of this machine (this program is one of
// its services, and the platform's identity endpoint another), of its link, or
// no address of a host at all. Private networks are not: CAs live there.
func reserved(addr netip.Addr) bool {
	if !addr.IsGlobalUnicast() || addr == wireServer {
		return true
	}
	return slices.ContainsFunc(embedded(addr), reserved)
}

// translated are the IPv6 networks whose addresses a gateway, or this machine
// itself, may bring to an IPv4 address that is within them, with the bit where that
// one begins.
var translated = []struct {
	network netip.Prefix
	at      []int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), []int{96}},               // RFC 6052 section 2.1
	{netip.MustParsePrefix("64:ff9b:1::/48"), []int{48, 56, 64, 96}}, // RFC 8215: of any length of RFC 6052 section 2.2
	{netip.MustParsePrefix("2002::/16"), []int{16}},                  // 6to4: RFC 3056 section 2
	{netip.MustParsePrefix("::/96"), []int{96}},                      // IPv4-compatible: RFC 4291 section 2.5.5.1
}

// embedded are the IPv4 addresses that an IPv6 address may be translated to.
func embedded(addr netip.Addr) []netip.Addr {
	if !addr.Is6() {
		return nil
	}
	var found []netip.Addr
	bytes := addr.As16()
	for _, t := range translated {
		if !t.network.Contains(addr) {
			continue
		}
		for _, bit := range t.at {
			var v4 [4]byte
			for i, from := 0, bit/8; i < len(v4); from++ {
				if from == 8 && bit > 16 && bit < 96 {
					continue // RFC 6052 section 2.2: bits 64 to 71 are zero
				}
				v4[i] = bytes[from]
				i++
			}
			found = append(found, netip.AddrFrom4(v4))
		}
	}
	return found
}
