package providertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"
)

// act is what the suite does at a moment of a run. The zero value lets it pass.
type act struct {
	before, after func() // around the effect at the CA or in storage
	lost          bool   // there is no effect

	// answer answers a call in place of the CA, whose reply, if there was an
	// effect, is recorded.
	answer func(n *Network, w http.ResponseWriter, r *http.Request, reply *httptest.ResponseRecorder)
}

func (a act) doBefore() {
	if a.before != nil {
		a.before()
	}
}

func (a act) doAfter() {
	if a.after != nil {
		a.after()
	}
}

// fault is what can go wrong with one exchange while the process lives. The
// operation goes on afterwards.
type fault struct {
	name string
	lost bool // the CA never hears of the request
	slow bool // the answer does not come before the step's deadline

	answer func(n *Network, w http.ResponseWriter, r *http.Request, reply *httptest.ResponseRecorder)
}

// faults are all of them. Where a fault has an answer that a client may take for
// success, the request had its effect: no client can tell otherwise.
var faults = []fault{
	{name: "request lost", lost: true, answer: hangUp},
	{name: "reply lost", answer: hangUp},
	{name: "500", lost: true, answer: status(http.StatusInternalServerError, "")},
	{name: "502 of a gateway after the effect", answer: status(http.StatusBadGateway, "")},
	{name: "503 with Retry-After", lost: true, answer: status(http.StatusServiceUnavailable, "30")},
	{name: "page of a gateway", answer: body("text/html", "<html>Please log in</html>")},
	{name: "empty", answer: body("application/json", "")},
	{name: "null", answer: body("application/json", "null")},
	{name: "cut off", answer: cutOff},
	{name: "slow", slow: true, answer: hang},
	{name: "slow body", slow: true, answer: hangInside},
	{name: "redirect 302", lost: true, answer: redirect(http.StatusFound)},
	{name: "redirect 307", lost: true, answer: redirect(http.StatusTemporaryRedirect)},
	{name: "redirect 308", lost: true, answer: redirect(http.StatusPermanentRedirect)},
	{name: "1 GB", answer: endless},
}

func hangUp(*Network, http.ResponseWriter, *http.Request, *httptest.ResponseRecorder) {
	panic(http.ErrAbortHandler)
}

func status(code int, retryAfter string) func(*Network, http.ResponseWriter, *http.Request, *httptest.ResponseRecorder) {
	return func(_ *Network, w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		http.Error(w, "upstream", code)
	}
}

func body(contentType, text string) func(*Network, http.ResponseWriter, *http.Request, *httptest.ResponseRecorder) {
	return func(_ *Network, w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, text)
	}
}

// cutOff ends the connection in the middle of the CA's answer.
func cutOff(_ *Network, w http.ResponseWriter, r *http.Request, reply *httptest.ResponseRecorder) {
	sendHalf(w, reply)
	panic(http.ErrAbortHandler)
}

func sendHalf(w http.ResponseWriter, reply *httptest.ResponseRecorder) {
	for name, values := range reply.Header() {
		w.Header()[name] = values
	}
	text := reply.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(reply.Code)
	w.Write(text[:len(text)/2])
	w.(http.Flusher).Flush()
}

// overdue is how long, in real time, a client whose deadline is over may take
// to give up.
const overdue = 5 * time.Second

// hang waits until the client has given up.
func hang(n *Network, _ http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) {
	late := time.NewTimer(overdue)
	defer late.Stop()
	select {
	case <-r.Context().Done():
	case <-late.C:
		n.ignored.Add(1)
	}
	panic(http.ErrAbortHandler)
}

func hangInside(n *Network, w http.ResponseWriter, r *http.Request, reply *httptest.ResponseRecorder) {
	sendHalf(w, reply)
	hang(n, w, r, reply)
}

// redirect leads to where nobody may be led.
func redirect(code int) func(*Network, http.ResponseWriter, *http.Request, *httptest.ResponseRecorder) {
	return func(n *Network, w http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) {
		http.Redirect(w, r, n.elsewhere.URL+r.URL.Path, code)
	}
}

// maxTaken bounds what is taken of an endless body, with room for what the
// connection's buffers take without any reader.
const maxTaken = 32 << 20

// endless answers with JSON of 1 GB. It stops when more than maxTaken was taken:
// whoever takes so much takes all.
func endless(n *Network, w http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(1<<30))
	if r.Method == http.MethodHead {
		return // whose answer has no body
	}
	io.WriteString(w, `{"status":"`)
	block := []byte(strings.Repeat("x", 1<<16))
	for n.taken.Load() <= maxTaken {
		if _, err := w.Write(block); err != nil {
			break
		}
		n.taken.Add(int64(len(block)))
	}
	panic(http.ErrAbortHandler)
}
