package digicert_test

// Answers that take the place of CertCentral's.

import (
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/certwright/certwright/handler/internal/provider/fault"
)

// reply answers in place of CertCentral.
func reply(status int, body string) fault.Func {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// after asks to be left alone for some seconds.
func after(seconds string, status int) fault.Func {
	return fault.After(seconds, reply(status, ""))
}

// truncated cuts CertCentral's answer in two.
func truncated(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
}
