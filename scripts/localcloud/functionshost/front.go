package functionshost

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// minBodyRate is how many bytes of a body must come a second, after
	// bodyGrace of waiting.
	minBodyRate = 240
	bodyGrace   = 5 * time.Second
	// drainTimeout is how long what is left of a body is read after the answer.
	drainTimeout = 5 * time.Second
	// lingerTimeout and maxLinger bound what is read after a refusal, the
	// latter in bytes.
	lingerTimeout = 500 * time.Millisecond
	maxLinger     = 1 << 20
	// maxChunkDigits is how long the length of a chunk may be, as for Go.
	maxChunkDigits = 16
	// readSize is how much is read at once, in bytes.
	readSize = 16 << 10
)

var (
	errTooSlow  = errors.New("the body comes too slowly")
	errBadChunk = errors.New("the body is not chunked as it says")
	errBodySize = errors.New("the body is larger than the app takes")
)

// A frontListener makes Go's server read requests as the host's web server
// does. Go's own refuses what that takes, such as "%zz" in a path, and the
// reverse, so that it gets a head of our making for each request, while the
// client's waits in [frontConn.next].
type frontListener struct{ net.Listener }

func (l frontListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &frontConn{Conn: conn, heads: make(chan *requestHead, maxFields)}, nil
}

// A frontConn is a client's connection. Only Go's server reads from it, one
// call at a time.
type frontConn struct {
	net.Conn

	in   []byte // from the client, not yet looked at
	out  []byte // for Go's server
	body *bodyFrame
	end  error // of what is to be read

	heads    chan *requestHead // of requests that Go's server has been given
	answered atomic.Bool       // the current request has, so that no 100 may follow
	finished atomic.Bool       // no further request is read
	aborts   atomic.Bool       // closing is a reset
	refuses  atomic.Bool       // what else the client sends is not read

	expects atomic.Bool // the current request waits for a 100
}

// A bodyFrame finds the end of a body, without changing it.
type bodyFrame struct {
	left    int64 // of the body or the chunk
	chunked bool
	line    []byte        // of a chunk header or trailer so far
	tail    bool          // the last chunk has been seen
	after   bool          // a chunk's data has ended, its CRLF is to come
	waited  time.Duration // for the client
	got     int64
}

func (c *frontConn) Read(p []byte) (int, error) {
	for len(c.out) == 0 {
		switch {
		case c.end != nil:
			return 0, c.end
		case c.finished.Load():
			return 0, io.EOF
		case c.body != nil:
			if err := c.readBody(); err != nil {
				return 0, err
			}
		default:
			if err := c.readHead(); err != nil {
				return 0, err
			}
		}
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// fill reads more from the client. A deadline that passes leaves what was read.
func (c *frontConn) fill() error {
	buffer := make([]byte, readSize)
	n, err := c.Conn.Read(buffer)
	c.in = append(c.in, buffer[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

// readHead takes the next request's head and puts one for Go's server in its
// place.
func (c *frontConn) readHead() error {
	for {
		c.in = bytes.TrimLeft(c.in, "\r\n")
		if head := c.takeHead(); head != nil {
			c.start(head)
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// takeHead is the head that has come, nil if it has not come completely and
// may still be one.
func (c *frontConn) takeHead() *requestHead {
	if status := tooLong(c.in); status != 0 {
		return refused(status)
	}
	if n := headEnd(c.in); n > 0 {
		head := parseHead(c.in[:n])
		c.in = c.in[n:]
		return head
	}
	if line, _, complete := bytes.Cut(c.in, []byte("\n")); complete {
		head := new(requestHead)
		if status := head.parseLine(string(bytes.TrimSuffix(line, []byte("\r")))); status != 0 {
			return refused(status)
		}
	}
	return nil
}

// start hands a request to Go's server.
func (c *frontConn) start(head *requestHead) {
	c.heads <- head
	c.out = head.goHead()
	switch {
	case head.refusal != 0:
		c.end = io.EOF
		c.refuses.Store(true)
	case head.chunked:
		c.body = &bodyFrame{chunked: true}
	case head.length > 0:
		c.body = &bodyFrame{left: head.length}
	}
	c.answered.Store(false)
	c.expects.Store(head.expects && c.body != nil)
}

// readBody hands on more of the body.
func (c *frontConn) readBody() error {
	if len(c.in) == 0 {
		if c.expects.Swap(false) && !c.answered.Load() {
			if _, err := io.WriteString(c.Conn, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
				return err
			}
		}
		if err := c.fillBody(); err != nil {
			return err
		}
	}
	n, done, err := c.body.take(c.in)
	if err != nil {
		c.end = err
		return err
	}
	c.out = bytes.Clone(c.in[:n])
	c.in = c.in[n:]
	c.body.got += int64(n)
	if done {
		c.body = nil
		return c.Conn.SetReadDeadline(time.Time{})
	}
	return nil
}

// fillBody is fill for a body, which may not come too slowly.
func (c *frontConn) fillBody() error {
	allowed := max(bodyGrace, time.Duration(c.body.got)*time.Second/minBodyRate) - c.body.waited
	begin := time.Now()
	if err := c.Conn.SetReadDeadline(begin.Add(allowed)); err != nil {
		return err
	}
	err := c.fill()
	c.body.waited += time.Since(begin)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		c.end = errTooSlow
		return errTooSlow
	}
	return err
}

// take returns how much of data belongs to the body, and whether the body ends
// there.
func (f *bodyFrame) take(data []byte) (n int, done bool, err error) {
	if !f.chunked {
		n = int(min(f.left, int64(len(data))))
		f.left -= int64(n)
		return n, f.left == 0, nil
	}
	for n < len(data) {
		if f.left > 0 {
			part := min(f.left, int64(len(data)-n))
			f.left -= part
			n += int(part)
			f.after = f.left == 0
			continue
		}
		b := data[n]
		n++
		if f.line = append(f.line, b); b != '\n' {
			if len(f.line) > maxRequestLine || f.after && string(f.line) != "\r" {
				return n, false, errBadChunk
			}
			continue
		}
		line, ok := strings.CutSuffix(string(f.line), "\r\n")
		f.line = f.line[:0]
		switch {
		case !ok || strings.Contains(line, "\r"):
			return n, false, errBadChunk
		case f.after:
			f.after = false
		case f.tail && line == "":
			return n, true, nil
		case !f.tail:
			digits, _, _ := strings.Cut(strings.TrimRight(line, " \t"), ";")
			size, err := strconv.ParseUint(digits, 16, 62)
			if err != nil || len(digits) > maxChunkDigits {
				return n, false, errBadChunk
			}
			f.left, f.tail = int64(size), size == 0
		}
	}
	return n, false, nil
}

// Write is used by Go's server, for answers only.
func (c *frontConn) Write(p []byte) (int, error) {
	c.answered.Store(true)
	return c.Conn.Write(p)
}

func (c *frontConn) Close() error {
	tcp, ok := c.Conn.(*net.TCPConn)
	switch {
	case ok && c.aborts.Load():
		if err := tcp.SetLinger(0); err != nil {
			return errors.Join(err, c.Conn.Close())
		}
	case ok && c.refuses.Load(): // data left unread would make it a reset, by which the answer may be lost
		tcp.CloseWrite()
		tcp.SetReadDeadline(time.Now().Add(lingerTimeout))
		io.CopyN(io.Discard, tcp, maxLinger)
	}
	return c.Conn.Close()
}

// CloseWrite lets Go's server end its side and wait for the client's end.
func (c *frontConn) CloseWrite() error {
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	return tcp.CloseWrite()
}

// frontKey is the key of the context under which the connection is.
type frontKey struct{}

func withFront(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, frontKey{}, conn)
}

// front is the connection of a request to the host.
func front(r *http.Request) *frontConn {
	return r.Context().Value(frontKey{}).(*frontConn)
}

// next takes the head that belongs to the request that Go's server has read,
// and puts what the client sent into the request.
func (c *frontConn) next(r *http.Request) *requestHead {
	head := <-c.heads
	r.Method, r.RequestURI, r.Host = head.method, head.target, head.host
	r.URL.RawQuery, r.URL.ForceQuery = "", head.query == "?"
	if head.query != "" {
		r.URL.RawQuery = head.query[1:]
	}
	r.Header = head.header
	return head
}

// A limitedBody is a body that may not be larger than limit. It notes the
// first error, so that the connection is not used again.
type limitedBody struct {
	io.ReadCloser
	limit int64

	mu  sync.Mutex
	got int64
	err error // but io.EOF
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got += int64(n)
	if b.got > b.limit {
		n, err = 0, errBodySize
	}
	if err != nil && err != io.EOF && b.err == nil {
		b.err = err
	}
	return n, err
}

func (b *limitedBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// drain reads what is left of the body after the answer, as the host does, and
// has the connection end if that does not work.
func (c *frontConn) drain(body *limitedBody) {
	if body.failure() == nil {
		stop := time.AfterFunc(drainTimeout, func() { c.Conn.SetReadDeadline(time.Now()) })
		io.Copy(io.Discard, body) // the failure shows below
		stop.Stop()
	}
	if body.failure() != nil {
		c.finished.Store(true)
		c.refuses.Store(true)
	}
}
