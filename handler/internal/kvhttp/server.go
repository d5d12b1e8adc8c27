package kvhttp

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/auth"
	"github.com/certwright/certwright/handler/internal/funchost"
	"github.com/certwright/certwright/handler/internal/vault"
)

// Config is what the API is served from. Vault, Auth and VaultURLs are required.
type Config struct {
	// Vault does the work.
	Vault *vault.Vault

	// Auth tells who is calling.
	Auth *auth.Validator

	// VaultURLs are the addresses under which clients reach the vault: https, a
	// host with or without a port, no path. A request selects one by its host; a
	// host that is not among them gets the first. For development, the first
	// label of a host may be *, which stands for any one label; at least one URL
	// must be without.
	VaultURLs []string

	// RetryAfter is when a client is to ask again for an operation that needs no
	// answer of a CA: 1 to 10 whole seconds, 2 unless set. Such an operation ends 2 s
	// after its create at the earliest.
	RetryAfter time.Duration

	// Region is named in answers, as in x-ms-keyvault-region; "local" when empty.
	Region string

	// Version is this service's own, for x-ms-keyvault-service-version; "0" when
	// empty.
	Version string

	// Now is the clock that requests are timed with; time.Now when nil.
	Now func() time.Time

	// Rand is the source of request ids; crypto/rand when nil. It must be safe
	// for concurrent use.
	Rand io.Reader

	// Log gets one line for each request; discarded when nil.
	Log *slog.Logger
}

// Server is the API at the root of a host. The http.Server around it bounds how
// long a request may take to arrive.
type Server struct {
	cfg  Config
	urls vaultURLs
}

// New checks cfg and makes a Server of it.
func New(cfg Config) (*Server, error) {
	if cfg.Vault == nil || cfg.Auth == nil {
		return nil, errors.New("the API needs a vault and a validator of tokens")
	}
	urls, err := parseVaultURLs(cfg.VaultURLs)
	if err != nil {
		return nil, err
	}
	cfg.Region = cmp.Or(cfg.Region, "local")
	cfg.Version = cmp.Or(cfg.Version, "0")
	cfg.RetryAfter = cmp.Or(cfg.RetryAfter, 2*time.Second)
	if cfg.RetryAfter < time.Second || cfg.RetryAfter > 10*time.Second || cfg.RetryAfter%time.Second != 0 {
		return nil, fmt.Errorf("clients are told to ask again after %s: must be 1 to 10 whole seconds", cfg.RetryAfter)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg, urls}, nil
}

// workTime is how long the work on a request may take.
const workTime = 60 * time.Second

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := s.begin(r)
	rep := s.answer(w, r, e)
	s.send(w, rep, e)
	s.log(r, e, rep.status)
}

// answer is serve with every error, and a panic, made an answer.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, e *logEntry) (rep reply) {
	defer func() {
		if p := recover(); p != nil {
			rep = e.failed(panicked(p)).reply()
		}
	}()
	rep, err := s.serve(w, r, e)
	if err != nil {
		return e.failed(asFailure(err, e.route.conflict)).reply()
	}
	return rep
}

// send writes an answer with the headers that all of Key Vault's answers have.
func (s *Server) send(w http.ResponseWriter, rep reply, e *logEntry) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("x-ms-keyvault-region", s.cfg.Region)
	h.Set("x-ms-keyvault-service-version", s.cfg.Version)
	h.Set("x-ms-request-id", e.requestID)
	if e.clientRequestID != "" {
		h.Set("x-ms-client-request-id", e.clientRequestID)
	}
	if len(rep.body) > 0 {
		h.Set("Content-Type", "application/json; charset=utf-8")
		h.Set("Content-Length", strconv.Itoa(len(rep.body)))
	}
	maps.Copy(h, rep.header)
	w.WriteHeader(rep.status)
	w.Write(rep.body) // nothing can be done for a client that has gone away
}

// serve takes a request through its stations, in the order of the package
// comment.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, e *logEntry) (reply, error) {
	caller, err := s.authenticate(r)
	if err != nil {
		return reply{}, err
	}
	e.caller = cmp.Or(caller.ObjectID, caller.AppID)
	if len(r.RequestURI) > maxURI {
		return reply{}, badRequest("The request URI is longer than %d bytes.", maxURI)
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return reply{}, err
	}
	api, err := parseVersion(query.Get("api-version"))
	if err != nil {
		return reply{}, err
	}
	path, err := segments(newestVersion(r.Method, r.URL.EscapedPath()))
	if err != nil {
		return reply{}, err
	}
	route, params, err := findRoute(r.Method, path)
	if err != nil {
		return reply{}, err
	}
	e.route = *route
	base := s.urls.selectBy(funchost.ClientHost(r))
	if !caller.Can(route.permission) {
		return reply{}, s.forbidden(caller, route.permission, base)
	}
	name, err := params.object()
	if err != nil {
		return reply{}, err
	}
	c := &call{
		view:            view{links: links(base), api: api},
		vault:           s.cfg.Vault,
		query:           query,
		name:            name,
		version:         params["{version}"],
		delivery:        vault.Delivery{EventID: params["{event}"], Destination: params["{destination}"]},
		body:            http.MaxBytesReader(w, r.Body, route.body),
		clientRequestID: e.clientRequestID,
		request: &vault.Request{
			Tenant: caller.TenantID, ObjectID: caller.ObjectID, AppID: caller.AppID,
			Method: r.Method, Path: strings.ToLower(r.URL.EscapedPath()) + "?" + r.URL.RawQuery,
			ID: e.clientRequestID,
		},
		client:     r.Context(),
		retryAfter: s.cfg.RetryAfter,
		wantsCSR:   strings.EqualFold(r.Header.Get("Accept"), mediaPKCS10),
	}
	// A change that has begun is finished, and so is a poll, which may make one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), workTime)
	defer cancel()
	if r.Method != http.MethodGet {
		ctx = vault.WithRequest(ctx, c.request)
	}
	return route.handle(ctx, c)
}

func (s *Server) authenticate(r *http.Request) (auth.Caller, error) {
	caller, err := s.cfg.Auth.Authenticate(r.Context(), r.Header)
	if refused, ok := errors.AsType[*auth.TokenError](err); ok {
		return auth.Caller{}, &failure{
			status:  http.StatusUnauthorized,
			code:    "Unauthorized",
			message: refused.Message,
			header:  http.Header{"Www-Authenticate": {s.cfg.Auth.Challenge()}},
		}
	}
	if err != nil {
		return auth.Caller{}, unavailable(err)
	}
	return caller, nil
}

func (s *Server) forbidden(caller auth.Caller, p auth.Permission, base string) error {
	name, _, _ := strings.Cut(strings.TrimPrefix(base, "https://"), ".")
	return &failure{
		status:  http.StatusForbidden,
		code:    "Forbidden",
		inner:   "ForbiddenByPolicy",
		message: caller.Forbidden(p, name, s.cfg.Region),
	}
}
