package functionshost

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// A Mode is how requests for functions that are HTTP only reach the handler.
type Mode int

const (
	// ModeFromHostJSON follows enableProxyingHttpRequest (which wins) and
	// enableForwardingHttpRequest; with neither, a request becomes the JSON of
	// an invocation.
	ModeFromHostJSON Mode = iota
	// Proxying is what hosts from mid-2025 do: the request streams through.
	Proxying
	// Forwarding is what older hosts do: the request is rebuilt, the response
	// buffered.
	Forwarding
)

// Config says what to run and how. Only Root is required.
type Config struct {
	// Root is the staged app: host.json, <Function>/function.json, the
	// handler's binary and, if wanted, local.settings.json.
	Root string
	// Address is the host:port to listen on; the host must be a loopback
	// address, port 0 takes a free one. Default: 127.0.0.1 with the port of
	// local.settings.json or else 7071.
	Address string
	// Environ holds the app settings and the environment of the handler,
	// "NAME=value". Values of local.settings.json are added where it has
	// none. Default: os.Environ().
	Environ []string
	// Mode overrides how host.json has requests passed on.
	Mode Mode
	// Keys, if not nil, are checked as in Azure. By default every request may
	// call everything, as under `func start`.
	Keys *Keys
	// StatusDir is an existing directory for the status of timers, by which a
	// later host sees that a timer is past due. By default none is stored.
	StatusDir string
	// HandlerOutput gets the lines of the handler's stdout and stderr. By
	// default they go to Log.
	HandlerOutput io.Writer
	// Log is the host's own log. Default: slog.Default().
	Log *slog.Logger
	// Now and After are the clock of timers; Now's location is their time
	// zone. Default: time.Now, time.After.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
	// NewID returns a new random UUID. Default: uuid.NewString.
	NewID func() string
}

const defaultPort = 7071

// withDefaults fills in what is not set.
func (c Config) withDefaults(local localSettings) (Config, error) {
	if c.Root == "" {
		return c, errors.New("the app's root is not set")
	}
	if c.Address == "" {
		c.Address = net.JoinHostPort("127.0.0.1", strconv.Itoa(cmp.Or(local.Host.LocalHTTPPort, defaultPort)))
	}
	address, err := netip.ParseAddrPort(c.Address)
	if err != nil {
		return c, fmt.Errorf("reading address %q: %w", c.Address, err)
	}
	if !address.Addr().IsLoopback() {
		return c, fmt.Errorf("address %q is not a loopback address", c.Address)
	}
	if c.Environ == nil {
		c.Environ = os.Environ()
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.After == nil {
		c.After = time.After
	}
	if c.NewID == nil {
		c.NewID = uuid.NewString
	}
	return c, nil
}
