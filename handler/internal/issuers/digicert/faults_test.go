package digicert_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
)

// reply answers in place of CertCentral.
func reply(status int, body string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// after asks to be left alone for some seconds.
func after(seconds string, status int) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Retry-After", seconds)
		reply(status, "")(w, r, next)
	}
}

// behind lets CertCentral act and answers something else.
func behind(f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		f(w, r, nil)
	}
}

// dropped ends the connection before CertCentral hears of the request.
func dropped(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// lost lets CertCentral act and drops its answer.
func lost(w http.ResponseWriter, r *http.Request, next http.Handler) { behind(dropped)(w, r, next) }

// truncated cuts CertCentral's answer in two.
func truncated(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
}

// redirect leads to where CertCentral would answer.
func redirect(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
}

// huge answers with 1 GB, or as much of it as is taken.
func huge(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	io.WriteString(w, `{"id":"`)
	block := []byte(strings.Repeat("x", 1<<16))
	for range 1 << 14 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}
