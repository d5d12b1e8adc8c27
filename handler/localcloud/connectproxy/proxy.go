// Package connectproxy makes every vault's name lead to the local cloud: it is
// an HTTP proxy that understands CONNECT (RFC 9110 section 9.3.6) to
// *.vault.azure.net:443 and nothing else, so that it can be used for nothing else.
package connectproxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"time"
)

const (
	// tunnelLimit bounds the tunnels that are open at a time.
	tunnelLimit = 256
	dialTimeout = 2 * time.Second
	// established is the answer after which the connection is a tunnel.
	established = "HTTP/1.1 200 Connection Established\r\n\r\n"
)

// vault matches the authority of a vault in Azure's public cloud: one label
// before the suffix, and the port.
var vault = regexp.MustCompile(`^(?i:[a-z0-9-]{1,63}\.vault\.azure\.net):443$`)

// Config says where tunnels lead.
type Config struct {
	// Target is the front door's address, host:port.
	Target string
	// Log receives the authorities that were asked for. Headers, which may hold
	// credentials, are never logged.
	Log *slog.Logger
}

// Proxy is the HTTP handler.
type Proxy struct {
	cfg   Config
	slots chan struct{}
}

// New returns a proxy.
func New(cfg Config) *Proxy {
	return &Proxy{cfg: cfg, slots: make(chan struct{}, tunnelLimit)}
}

// ServeHTTP opens a tunnel to the front door or refuses.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		w.Header().Set("Allow", http.MethodConnect)
		http.Error(w, "this proxy of Certwright's local cloud understands CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	if !vault.MatchString(r.RequestURI) {
		p.cfg.Log.Warn("proxy refused", "authority", r.RequestURI)
		http.Error(w, "this proxy of Certwright's local cloud leads to *.vault.azure.net:443 only", http.StatusForbidden)
		return
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	default:
		http.Error(w, "too many tunnels", http.StatusServiceUnavailable)
		return
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	target, err := dialer.DialContext(r.Context(), "tcp", p.cfg.Target)
	if err != nil {
		p.cfg.Log.Warn("proxy cannot reach the front door", "error", err)
		http.Error(w, "the front door does not answer", http.StatusBadGateway)
		return
	}
	defer target.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.cfg.Log.Error("proxy cannot open a tunnel", "error", err)
		return
	}
	defer client.Close()
	p.cfg.Log.Debug("tunnel", "authority", r.RequestURI)
	// Only what came with the request is read from the buffer: at the end of the
	// client's half, its reads would end the request's context and so the other half.
	early := io.LimitReader(buffered, int64(buffered.Reader.Buffered()))
	if err := tunnel(r.Context(), client, early, target); err != nil {
		p.cfg.Log.Debug("tunnel ended", "authority", r.RequestURI, "error", err)
	}
}

// tunnel copies both ways, to the target first what came early, until both
// sides have ended or ctx ends. How long an idle tunnel lasts is the front
// door's decision.
func tunnel(ctx context.Context, client net.Conn, early io.Reader, target net.Conn) error {
	if err := client.SetDeadline(time.Time{}); err != nil { // the server's header timeout
		return err
	}
	if _, err := io.WriteString(client, established); err != nil {
		return fmt.Errorf("answering CONNECT: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		client.Close()
		target.Close()
	})
	defer stop()
	answered := make(chan error, 1)
	go func() { answered <- forward(client, target) }()
	err := forward(target, io.MultiReader(early, client))
	if back := <-answered; err == nil {
		err = back
	}
	return err
}

// forward copies until from ends, and says so to the other side. After an
// error the other direction is of no use either, and is closed.
func forward(to net.Conn, from io.Reader) error {
	_, err := io.Copy(to, from)
	half, ok := to.(*net.TCPConn)
	if err != nil || !ok {
		to.Close()
		return err
	}
	return half.CloseWrite()
}
