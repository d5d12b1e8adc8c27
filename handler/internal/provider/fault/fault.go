// Package fault is what goes wrong between a provider and its CA, for tests: a
// test's server has a list of faults, one for each request to come; nil: none.
package fault

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
)

// Func answers a request in place of next, the CA, or after it.
type Func func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Pop takes the first of a list of faults out of it; Pass when there is none.
func Pop(list *[]Func) Func {
	if len(*list) == 0 {
		return Pass
	}
	first := (*list)[0]
	*list = (*list)[1:]
	if first == nil {
		return Pass
	}
	return first
}

// Pass lets the CA answer.
func Pass(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }

// Dropped ends the connection before the CA hears of the request.
func Dropped(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// Lost lets the CA act and drops its answer.
func Lost(w http.ResponseWriter, r *http.Request, next http.Handler) { Behind(Dropped)(w, r, next) }

// Behind lets the CA act and answers something else.
func Behind(f Func) Func {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		f(w, r, nil)
	}
}

// Reply answers in place of the CA.
func Reply(status int, contentType, body string) Func {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// After is another fault that asks to be left alone for so many seconds.
func After(seconds string, f Func) Func {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Retry-After", seconds)
		f(w, r, next)
	}
}

// Redirect leads where location says.
func Redirect(location string) Func {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// Circle is a redirect to where the CA would answer.
func Circle(w http.ResponseWriter, r *http.Request, next http.Handler) {
	Redirect(r.URL.Path)(w, r, next)
}

// Huge answers with 1 GB that begins so, or as much of it as is taken.
func Huge(beginning string) Func {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		io.WriteString(w, beginning)
		block := []byte(strings.Repeat("x", 1<<16))
		for range 1 << 14 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
}
