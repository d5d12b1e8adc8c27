package functionshost

import (
	"errors"
	"io"
	"net/http"
)

// A hostWriter writes an answer as the host's web server does: with the
// headers of host.json where the answer has none of the name, and without a
// Content-Type that nobody has set.
type hostWriter struct {
	http.ResponseWriter
	method string // of the request
	custom map[string]string
	body   *limitedBody
	conn   *frontConn

	started  bool
	hijacked bool
}

func (w *hostWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *hostWriter) WriteHeader(status int) {
	w.started = true
	header := w.Header()
	for name, value := range w.custom {
		if name = http.CanonicalHeaderKey(name); len(header[name]) == 0 {
			header.Set(name, value)
		}
	}
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil
	}
	if status == http.StatusNotModified { // Go takes these away by their usual names
		for name, key := range map[string]string{"Content-Type": "content-type", "Content-Length": "content-length"} {
			if value := header.Get(name); value != "" {
				header[key] = []string{value}
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *hostWriter) Write(p []byte) (int, error) {
	if !w.started {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// fail answers with a status and no body. After a body that is too large the
// server says that the connection ends.
func (w *hostWriter) fail(status int) {
	switch err := w.body.failure(); {
	case errors.Is(err, io.ErrUnexpectedEOF): // the client has gone
		w.conn.aborts.Store(true)
		panic(http.ErrAbortHandler)
	case errors.Is(err, errBodySize):
		w.Header().Set("Connection", "close")
	}
	if w.method != http.MethodHead {
		w.Header().Set("Content-Length", "0")
	}
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodOptions)
	}
	w.WriteHeader(status)
}
