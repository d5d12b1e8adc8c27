// A recorder in the handler's place, for the recordings.

package functionshost_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A recorder stands where the handler stands, keeps what arrives and answers
// as it is told, without a library that would tidy up either.
type recorder struct {
	listener net.Listener

	mu      sync.Mutex
	script  *script
	nth     int // requests since the script was set
	open    int // requests that are still arriving
	records []*record
}

// A record is a request as it arrived.
type record struct {
	head       []text
	framing    string
	body       []byte
	trailers   []text
	incomplete string // how it ended too early
}

// arriving is how much a connection holds that the recorder has not read, in
// bytes: some systems would let it grow until an upload of 5 MB fits.
const arriving = 512 << 10

func startRecorder(t testing.TB, port int) *recorder {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{listener: listener}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			tcp := conn.(*net.TCPConn)
			tcp.SetReadBuffer(arriving)
			go r.serve(tcp)
		}
	}()
	return r
}

// reset forgets what arrived and sets how to answer.
func (r *recorder) reset(s *script) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script, r.nth, r.records = s, 0, nil
}

// taken waits until n requests have arrived completely, as long as that may
// take, and for a moment more.
func (r *recorder) taken(n int, wait time.Duration) []*record {
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		r.mu.Lock()
		complete := len(r.records) >= n && r.open == 0
		r.mu.Unlock()
		if complete {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

func (r *recorder) serve(conn *net.TCPConn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		head, err := readHead(in)
		if err != nil {
			return
		}
		if strings.HasPrefix(string(head[0]), "GET / ") { // the host asks whether the handler is ready
			io.WriteString(conn, okAnswer)
			continue
		}
		if !r.request(conn, in, head) {
			return
		}
	}
}

// request keeps one request and answers it. It reports whether the connection
// stays.
func (r *recorder) request(conn *net.TCPConn, in *bufio.Reader, head []text) bool {
	got := &record{head: head}
	r.mu.Lock()
	s := r.script
	nth := r.nth
	r.nth++
	r.open++
	r.records = append(r.records, got)
	r.mu.Unlock()
	done := sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.open--
	})
	defer done()
	if s == nil {
		r.readBody(in, got)
		done()
		if got.incomplete != "" {
			return false
		}
		answer := okAnswer
		if strings.HasPrefix(string(head[0]), "HEAD ") {
			answer = answer[:len(answer)-2]
		}
		_, err := io.WriteString(conn, answer)
		return err == nil
	}
	if s.Continue {
		io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	steps := s.Steps
	if len(s.Nth) > 0 {
		steps = s.Nth[min(nth, len(s.Nth)-1)]
	}
	if s.When == "head" {
		if !play(conn, steps) {
			return false
		}
		r.readBody(in, got)
		return got.incomplete == ""
	}
	r.readBody(in, got)
	done()
	return got.incomplete == "" && play(conn, steps)
}

// play sends pieces and reports whether the connection is still there.
func play(conn *net.TCPConn, steps []piece) bool {
	for _, p := range steps {
		switch {
		case p.PauseMS > 0:
			time.Sleep(time.Duration(p.PauseMS) * time.Millisecond)
		case p.Reset:
			conn.SetLinger(0)
			conn.Close()
			return false
		case p.close:
			conn.Close()
			return false
		case p.closeWrite:
			conn.CloseWrite()
		default:
			if _, err := conn.Write(p.bytes); err != nil {
				return false
			}
		}
	}
	return true
}

func readHead(in *bufio.Reader) ([]text, error) {
	var lines []text
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			if len(lines) == 0 {
				continue
			}
			return lines, nil
		}
		lines = append(lines, text(line))
	}
}

func (r *recorder) readBody(in *bufio.Reader, got *record) {
	header := fields(got.head[1:])
	var content []byte
	var trailers []text
	var err error
	framing := ""
	switch length, sized := header["content-length"]; {
	case strings.HasSuffix(header["transfer-encoding"], "chunked"):
		framing = "chunked"
		content, trailers, err = readChunked(in)
	case sized:
		framing = "content-length"
		n, _ := strconv.Atoi(length) // 0 if it is odd
		content = make([]byte, n)
		var read int
		read, err = io.ReadFull(in, content)
		content = content[:read]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	got.framing, got.body, got.trailers = framing, content, trailers
	if err != nil {
		got.incomplete = "closed"
	}
}

func readChunked(in *bufio.Reader) (content []byte, trailers []text, err error) {
	var out bytes.Buffer
	if _, err = io.Copy(&out, httputil.NewChunkedReader(in)); err != nil {
		return out.Bytes(), nil, err
	}
	for {
		line, err := textproto.NewReader(in).ReadLine()
		if err != nil {
			return out.Bytes(), nil, errors.Join(io.ErrUnexpectedEOF, err)
		}
		if line == "" {
			return out.Bytes(), trailers, nil
		}
		trailers = append(trailers, text(line))
	}
}
