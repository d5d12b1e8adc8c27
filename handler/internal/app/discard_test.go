// Answers that come before the end of a body.

package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/settings/settingstest"
)

// large is a body that is more than Go's server reads by itself after an answer.
const large = 5_000_000

// A wire is a client's connection, on which everything is written out.
type wire struct {
	t  testing.TB
	in *bufio.Reader
	net.Conn
}

func dial(t testing.TB, server *httptest.Server) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &wire{t, bufio.NewReader(conn), conn}
}

// send writes a request's head and then n bytes of its body.
func (w *wire) send(head string, n int) {
	w.t.Helper()
	if _, err := fmt.Fprintf(w, "%s\r\nHost: vault\r\n\r\n%s", head, strings.Repeat("x", n)); err != nil {
		w.t.Fatal(err)
	}
}

// answer reads an answer, and reports whether the connection is to go on.
func (w *wire) answer() (status int, body string, goesOn bool) {
	w.t.Helper()
	res, err := http.ReadResponse(w.in, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(text), !res.Close
}

// serveDiscarder serves what refuses everything but GET: it reads as much of
// the body as the path says, and answers 401, or 413 if there is more.
func serveDiscarder(t *testing.T, change func(*discarder)) *httptest.Server {
	t.Helper()
	d := &discarder{limit: discardLimit, time: discardTime, slots: make(chan struct{}, discardsAtOnce)}
	d.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var limit int64
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &limit); err != nil {
			t.Error(err)
		}
		if limit > 0 {
			_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
			if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
				http.Error(w, "too large", http.StatusRequestEntityTooLarge)
				return
			}
		}
		if r.Method != http.MethodGet {
			http.Error(w, "who are you", http.StatusUnauthorized)
		}
	})
	if change != nil {
		change(d)
	}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	return server
}

// TestEarlyAnswer checks that an answer that comes before the end of a body
// arrives, and that the connection is used again.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	server := serveDiscarder(t, nil)
	for head, want := range map[string]int{
		fmt.Sprintf("POST /0 HTTP/1.1\r\nContent-Length: %d", large):                                   401,
		fmt.Sprintf("POST /1000 HTTP/1.1\r\nContent-Length: %d", large):                                413,
		fmt.Sprintf("POST /%d HTTP/1.1\r\nContent-Length: %d", large, large):                           401, // all of it was read
		fmt.Sprintf("POST /1000 HTTP/1.1\r\nContent-Length: %d\r\nExpect: 100-continue", large):        413, // asked for, and then too large
		fmt.Sprintf("PUT /1000 HTTP/1.1\r\nContent-Length: %d\r\nContent-Type: application/x", 24<<20): 413,
	} {
		client := dial(t, server)
		length := large
		if strings.Contains(head, fmt.Sprint(24<<20)) {
			length = 24 << 20
		}
		client.send(head, length)
		status, _, goesOn := client.answer()
		if status == http.StatusContinue {
			status, _, goesOn = client.answer()
		}
		if status != want || !goesOn {
			t.Errorf("%q: %d, goes on: %v; want %d and a connection that does", head, status, goesOn, want)
			continue
		}
		client.send("GET /0 HTTP/1.1", 0)
		if status, _, _ := client.answer(); status != http.StatusOK {
			t.Errorf("%q, and then GET: %d", head, status)
		}
	}
	t.Run("in chunks", func(t *testing.T) {
		t.Parallel()
		client := dial(t, server)
		client.send("POST /1000 HTTP/1.1\r\nTransfer-Encoding: chunked", 0)
		if _, err := fmt.Fprintf(client, "%x\r\n%s\r\n0\r\n\r\n", large, strings.Repeat("x", large)); err != nil {
			t.Fatal(err)
		}
		if status, _, goesOn := client.answer(); status != http.StatusRequestEntityTooLarge || !goesOn {
			t.Errorf("%d, goes on: %v", status, goesOn)
		}
	})
}

// TestAnswerAtOnce checks where nothing is waited for.
func TestAnswerAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		head   string
		change func(*discarder)
	}{
		"the client waits for 100": {fmt.Sprintf("POST /0 HTTP/1.1\r\nContent-Length: %d\r\nExpect: 100-continue", large), nil},
		"a body over the limit":    {fmt.Sprintf("POST /0 HTTP/1.1\r\nContent-Length: %d", discardLimit+1), nil},
		"too many at once": {fmt.Sprintf("POST /0 HTTP/1.1\r\nContent-Length: %d", large), func(d *discarder) {
			for range discardsAtOnce {
				d.slots <- struct{}{}
			}
		}},
		"a body that does not come": {fmt.Sprintf("POST /0 HTTP/1.1\r\nContent-Length: %d", large), func(d *discarder) { d.time = 50 * time.Millisecond }},
		"chunks without end": {"POST /0 HTTP/1.1\r\nTransfer-Encoding: chunked", func(d *discarder) {
			d.time = 50 * time.Millisecond
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := dial(t, serveDiscarder(t, test.change))
			client.send(test.head, 0)
			if err := client.SetDeadline(time.Now().Add(discardTime - time.Second)); err != nil {
				t.Fatal(err)
			}
			if status, body, goesOn := client.answer(); status != http.StatusUnauthorized || body != "who are you\n" || goesOn {
				t.Errorf("%d %q, goes on: %v, want 401 and the end", status, body, goesOn)
			}
		})
	}
}

// TestDiscardIsBounded checks that a body in chunks is not read beyond the limit.
func TestDiscardIsBounded(t *testing.T) {
	t.Parallel()
	server := serveDiscarder(t, func(d *discarder) { d.limit = 1 << 20 })
	client := dial(t, server)
	client.send("POST /0 HTTP/1.1\r\nTransfer-Encoding: chunked", 0)
	if _, err := fmt.Fprintf(client, "%x\r\n%s", 64<<20, strings.Repeat("x", 2<<20)); err != nil {
		t.Fatal(err)
	}
	if status, _, goesOn := client.answer(); status != http.StatusUnauthorized || goesOn {
		t.Errorf("%d, goes on: %v, want 401 and the end", status, goesOn)
	}
}

// TestAppDiscards checks that the app itself does so.
func TestAppDiscards(t *testing.T) {
	t.Parallel()
	_, server := start(t, map[string]string{"CERTWRIGHT_KEK_FILE": settingstest.KEK(t)})
	client := dial(t, server)
	client.send(fmt.Sprintf("POST /certificates/a/import?api-version=7.4 HTTP/1.1\r\nContent-Length: %d", large), large)
	if status, _, goesOn := client.answer(); status != http.StatusUnauthorized || !goesOn {
		t.Errorf("%d, goes on: %v, want 401 and a connection that does", status, goesOn)
	}
}
