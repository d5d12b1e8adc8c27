package kvhttp

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/certwright/certwright/handler/internal/funchost"
)

// logEntry is what the log says about a request. Nothing in it is secret: neither
// tokens nor bodies ever come here.
type logEntry struct {
	start           time.Time
	requestID       string // x-ms-request-id: ours
	clientRequestID string // x-ms-client-request-id: the client's, empty if unfit
	invocationID    string // the Functions host's
	caller          string
	route           route // none: the request did not get that far
	failure         *failure
}

func (s *Server) begin(r *http.Request) *logEntry {
	id, err := uuid.NewRandomFromReader(s.cfg.Rand)
	if err != nil {
		panic("random source failed: " + err.Error())
	}
	return &logEntry{
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

func (e *logEntry) failed(f *failure) *failure {
	e.failure = f
	return f
}

// log writes the one line of a request. Failures on our side say what happened;
// the client was told less.
func (s *Server) log(r *http.Request, e *logEntry, status int) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("method", r.Method),
		slog.String("route", e.route.name),
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
