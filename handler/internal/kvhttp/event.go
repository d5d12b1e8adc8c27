package kvhttp

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/certwright/certwright/handler/internal/funchost"
)

// event is what the log says about a request. Nothing in it is secret: neither
// tokens nor bodies ever come here.
type event struct {
	start           time.Time
	requestID       string // x-ms-request-id: ours
	clientRequestID string // x-ms-client-request-id: the client's, empty if unfit
	invocationID    string // the Functions host's
	caller          string
	route           string
	failure         *failure
}

func (s *Server) begin(r *http.Request) *event {
	id, err := uuid.NewRandomFromReader(s.cfg.Rand)
	if err != nil {
		panic("random source failed: " + err.Error())
	}
	return &event{
		start:           s.cfg.Now(),
		requestID:       id.String(),
		clientRequestID: clientRequestID(r.Header.Get("x-ms-client-request-id")),
		invocationID:    funchost.InvocationID(r),
	}
}

// clientRequestID takes an id that is fit to be repeated in a header and in the
// log, and to be stored.
func clientRequestID(s string) string {
	if len(s) > 128 {
		return ""
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return ""
		}
	}
	return s
}

func (e *event) failed(f *failure) *failure {
	e.failure = f
	return f
}

// panicked makes a route's panic a failure whose cause says where it was.
func panicked(p any) *failure {
	return internalError(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}

// send writes an answer with the headers that all of Key Vault's answers have.
func (s *Server) send(w http.ResponseWriter, rep reply, e *event) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("Strict-Transport-Security", "max-age=31536000;includeSubDomains")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("x-ms-keyvault-region", s.cfg.Region)
	h.Set("x-ms-keyvault-service-version", s.cfg.Version)
	h.Set("x-ms-request-id", e.requestID)
	if e.clientRequestID != "" {
		h.Set("x-ms-client-request-id", e.clientRequestID)
	}
	maps.Copy(h, rep.header)
	if len(rep.body) > 0 {
		h.Set("Content-Type", "application/json; charset=utf-8")
		h.Set("Content-Length", strconv.Itoa(len(rep.body)))
	}
	w.WriteHeader(rep.status)
	w.Write(rep.body) // a client that has gone away is no concern of ours
}

// log writes the one line of a request. Failures on our side say what happened;
// the client was told less.
func (s *Server) log(r *http.Request, e *event, status int) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("method", r.Method),
		slog.String("route", e.route),
		slog.String("url", funchost.LogURL(r)),
		slog.Int("status", status),
		slog.Duration("duration", s.cfg.Now().Sub(e.start)),
		slog.String("request_id", e.requestID),
		slog.String("client_request_id", e.clientRequestID),
		slog.String("invocation_id", e.invocationID),
		slog.String("caller", e.caller),
	}
	if f := e.failure; f != nil {
		attrs = append(attrs, slog.String("code", f.code), slog.String("message", f.text()))
		if f.cause != nil {
			attrs = append(attrs, slog.Any("error", f.cause))
		}
		if status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
	}
	s.cfg.Log.LogAttrs(r.Context(), level, "request", attrs...)
}
