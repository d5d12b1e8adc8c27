package app

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// discardLimit is how much of a body is read for nothing, in bytes: what is
	// left of the largest that any route takes, a backup.
	discardLimit = 32 << 20
	// discardTime is how long that may take.
	discardTime = 5 * time.Second
	// discardsAtOnce is how many requests may have that done at once.
	discardsAtOnce = 32
)

// A discarder makes an answer that comes before the end of the request's body
// wait for that end, of which it keeps nothing. The Functions host sends the
// whole body before it looks at an answer: one that comes earlier, with a
// connection that then closes, is an empty 500 to the client, whether it was 401
// or 413 (https://github.com/Azure/azure-functions-host/issues/10623).
type discarder struct {
	next  http.Handler
	limit int64
	time  time.Duration
	slots chan struct{} // holds one for each request that is at it
}

func (d *discarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		d.next.ServeHTTP(w, r)
		return
	}
	body := &readBody{ReadCloser: r.Body}
	answer := &lateWriter{ResponseWriter: w, discard: func() { d.discard(w, r, body) }}
	in := r.WithContext(r.Context()) // the server's own request keeps its body
	in.Body = body
	d.next.ServeHTTP(answer, in)
	answer.begin()
}

// discard reads what is left of the body, if that can be done within bounds.
// Otherwise the server closes the connection.
func (d *discarder) discard(w http.ResponseWriter, r *http.Request, body *readBody) {
	// A client that waits for "100 Continue" need not send the body at all.
	waits := strings.EqualFold(r.Header.Get("Expect"), "100-continue") && !body.begun.Load()
	if waits || body.ended.Load() || r.ContentLength-body.got.Load() > d.limit {
		return
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	default:
		return
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(d.time)) != nil {
		return // it could not be ended
	}
	if _, err := io.CopyN(io.Discard, body, d.limit+1); errors.Is(err, io.EOF) {
		// The connection goes on, with the server's own deadlines.
		_ = control.SetReadDeadline(time.Time{})
	}
}

// A readBody knows how far a body has been read.
type readBody struct {
	io.ReadCloser
	got          atomic.Int64 // bytes
	begun, ended atomic.Bool
}

func (b *readBody) Read(p []byte) (int, error) {
	b.begun.Store(true)
	n, err := b.ReadCloser.Read(p)
	b.got.Add(int64(n))
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
}

// A lateWriter has the body discarded before it begins to answer.
type lateWriter struct {
	http.ResponseWriter
	discard func()
	began   bool
}

func (w *lateWriter) begin() {
	if !w.began {
		w.began = true
		w.discard()
	}
}

func (w *lateWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.begin()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *lateWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}
