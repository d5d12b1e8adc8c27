// Heads and bodies as Go's server gets them.

package functionshost

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"testing"
)

// FuzzRequestHead checks that Go's server can read the head that it gets in
// place of any that is taken, and frames the body as the client's says.
func FuzzRequestHead(f *testing.F) {
	for _, head := range []string{
		"GET /a%zz?x#y HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 5\r\n\r\n",
		"PUT http://u@a:80/x HTTP/1.0\nHost: a\nContent-Length: +7\nConnection: Keep-Alive\n\n",
		"X~ * HTTP/1.1\r\nHost: [::1]:8\r\n folded\r\n\r\n",
	} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n := headEnd(data)
		if n == 0 {
			return
		}
		head := parseHead(data[:n])
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head.goHead())))
		if err != nil {
			t.Fatalf("%q becomes %q: %v", data[:n], head.goHead(), err)
		}
		if chunked := len(r.TransferEncoding) > 0; chunked != head.chunked || !chunked && r.ContentLength != max(0, head.length) {
			t.Errorf("%q: body of %d, chunked %v; for Go it is of %d, %v", data[:n], head.length, head.chunked, r.ContentLength, chunked)
		}
	})
}

// FuzzBodyFrame checks that a body of chunks ends for Go's server where it ends
// here, however it is cut.
func FuzzBodyFrame(f *testing.F) {
	for _, body := range []string{"2\r\nab\r\n0\r\n\r\n", "3;x=y\r\nabc\r\n0\r\nX-T: t\r\n\r\nGET", "A \r\nxxxxxxxxxx\r\n00\r\n\r\n", "zz\r\n", "2\r\nabc\r\n"} {
		f.Add([]byte(body), 1)
	}
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		frame := &bodyFrame{chunked: true}
		cut = max(1, cut)
		end, done := 0, false
		for at := 0; at < len(data) && !done; {
			n, last, err := frame.take(data[at:min(at+cut, len(data))])
			if err != nil {
				return
			}
			at += n
			end, done = at, last
		}
		if !done {
			return
		}
		in := bufio.NewReader(bytes.NewReader(data[:end]))
		if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(in)); err != nil {
			t.Fatalf("%q ends here after %d bytes, for Go it does not: %v", data, end, err)
		}
		for { // trailers
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatalf("%q: the end is missing: %v", data[:end], err)
			}
			if line == "\r\n" || line == "\n" {
				break
			}
		}
		if in.Buffered() > 0 {
			t.Errorf("%q: %d bytes are left for Go", data[:end], in.Buffered())
		}
	})
}
