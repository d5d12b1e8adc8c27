// The recordings, replayed in both modes.

package functionshost_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

const (
	// lanes is how many hosts replay vectors in each mode at once.
	lanes = 8
	// quiet is how long nothing may come before a connection counts as open.
	quiet = 40 * time.Millisecond
	// silence is how long nothing comes where the real host is silent for
	// ever.
	silence = time.Second
)

// TestVectors sends every recorded request to the stand-in, in both modes, and
// compares what its handler and its client then see with what those of the
// real host saw. A vector that is listed as different must be different.
func TestVectors(t *testing.T) {
	t.Parallel()
	type job struct {
		vector
		mode string
	}
	jobs := map[string][]job{}
	known := map[string]bool{}
	for _, v := range readVectors(t) {
		for _, mode := range []string{"proxy", "forward"} {
			known[v.ID+" "+mode] = true
			if !v.Unstable {
				jobs[v.Profile+" "+mode] = append(jobs[v.Profile+" "+mode], job{v, mode})
			}
		}
	}
	for name := range different {
		if !known[name] {
			t.Errorf("%s is listed as different, but there is no such vector", name)
		}
	}
	var all sync.WaitGroup
	for name, list := range jobs {
		slices.SortStableFunc(list, func(a, b job) int { return b.truth(b.mode).Seconds - a.truth(a.mode).Seconds })
		queue := make(chan job, len(list))
		for _, j := range list {
			queue <- j
		}
		close(queue)
		profile, mode, _ := strings.Cut(name, " ")
		for range min(lanes, (len(list)+4)/5) {
			lane := startLane(t, profile, mode)
			all.Go(func() {
				for j := range queue {
					tries := 1
					if slices.Contains(racing, j.ID) {
						tries = racingTries
					}
					err := lane.replay(&j.vector, mode)
					for ; err != nil && tries > 1; tries-- {
						err = lane.replay(&j.vector, mode)
					}
					reason, listed := different[j.ID+" "+mode]
					switch {
					case err != nil && !listed:
						t.Errorf("%s %s (%s): %v", j.ID, mode, j.Note, err)
					case err == nil && listed:
						t.Errorf("%s %s is as recorded, but listed as different: %s", j.ID, mode, reason)
					}
				}
			})
		}
	}
	all.Wait()
}

func (v *vector) truth(mode string) *recording {
	if mode == "forward" {
		return &v.Forward
	}
	return &v.Proxy
}

// A lane is a host with a recorder for its handler.
type lane struct {
	host     running
	recorder *recorder
}

// startLane starts a host as the profile has it.
func startLane(t testing.TB, profile, mode string) *lane {
	t.Helper()
	files := map[string]string{"Echo/function.json": "", "Tick/function.json": ""}
	data, err := vectorFiles.ReadFile("testdata/vectors/functions.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, fn := range decode[map[string]struct {
		Route   string
		Methods json.RawMessage
	}](t, string(data)) {
		files[name+"/function.json"] = httpFunction(fn.Route, string(fn.Methods))
	}
	cfg := functionshost.Config{Mode: functionshost.Proxying}
	if mode == "forward" {
		cfg.Mode = functionshost.Forwarding
	}
	environ := []string{"MUTE=1"}
	switch profile {
	case "azure":
		environ = append(environ, "CONTAINER_NAME=x")
	case "small-limit":
		environ = append(environ, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=1000")
	case "custom-headers":
		environ = append(environ,
			"AzureFunctionsJobHost__extensions__http__customHeaders__Strict-Transport-Security=max-age=99",
			"AzureFunctionsJobHost__extensions__http__customHeaders__X-Custom=c")
	}
	cfg.Root = stage(t, files)
	l := &lane{host: start(t, cfg, environ...)}
	l.recorder = startRecorder(t, l.host.HandlerPort())
	l.host.ready(t)
	return l
}

// replay sends one vector and says what is not as recorded.
func (l *lane) replay(v *vector, mode string) error {
	want := v.truth(mode)
	l.recorder.reset(v.Answers)
	answers, end, err := l.send(v, want)
	if err != nil {
		return err
	}
	requests := 0
	for _, m := range want.Received {
		requests += max(1, m.Times)
	}
	wait := silence
	if end == "client aborted" {
		wait = 3 * time.Second
	}
	records := l.recorder.taken(requests, wait)
	if end == "client aborted" { // it read nothing
		answers = nil
	}
	return errors.Join(
		l.compareReceived(want.Received, records, mode),
		compareAnswers(want.Client.Answers, answers),
		compareEnd(want.Client.End, end),
	)
}

func compareEnd(want, got string) error {
	if want != got {
		return fmt.Errorf("the client's connection is %q, want %q", got, want)
	}
	return nil
}

// compareReceived compares what the handler got. Of equal requests in a row
// the first and their number count.
func (l *lane) compareReceived(want []message, got []*record, mode string) error {
	for i, m := range want {
		times := max(1, m.Times)
		if len(got) < times {
			return fmt.Errorf("the handler got %d of the requests like request %d, want %d", len(got), i, times)
		}
		if err := l.compareRequest(&m, got[0], mode); err != nil {
			return fmt.Errorf("request %d at the handler: %w", i, err)
		}
		got = got[times:]
	}
	if len(got) > 0 {
		return fmt.Errorf("the handler got %d requests more, such as %q", len(got), got[0].head[0])
	}
	return nil
}

func (l *lane) compareRequest(want *message, got *record, mode string) error {
	lines := expandUsual(want.Head, mode)
	if line := startLine(lines); line != string(got.head[0]) {
		return fmt.Errorf("it begins with %q, want %q", got.head[0], line)
	}
	wantFields := fields(lines[1:])
	if ownTrace := "00-{trace_id}-{span_id}-00"; wantFields["traceparent"] == ownTrace {
		delete(wantFields, "traceparent")
	}
	if diff := difference(wantFields, receivedFields(got.head[1:], l.host.HandlerPort())); diff != "" {
		return errors.New(diff)
	}
	if want.Framing != got.framing {
		return fmt.Errorf("its body is framed by %q, want %q", got.framing, want.Framing)
	}
	// How much of a body that broke off has arrived is a matter of time.
	if (len(want.Incomplete) > 0) != (got.incomplete != "") {
		return fmt.Errorf("it ended %q, want %s", got.incomplete, want.Incomplete)
	}
	if got.incomplete == "" && !want.Body.matches(got.body) {
		return fmt.Errorf("its body is %.80q of %d bytes", got.body, len(got.body))
	}
	if !slices.Equal(want.Trailers, got.trailers) {
		return fmt.Errorf("its trailers are %q, want %q", got.trailers, want.Trailers)
	}
	return nil
}

// An answer is what the client read of one.
type answer struct {
	head       []text
	framing    string
	body       []byte
	trailers   []text
	incomplete bool
	raw        bool // not an answer, only bytes in body
}

func compareAnswers(want []message, got []answer) error {
	if len(want) != len(got) {
		var all []string
		for _, a := range got {
			all = append(all, fmt.Sprintf("%q", a.head))
		}
		return fmt.Errorf("the client got %d answers, want %d: %.300s", len(got), len(want), strings.Join(all, ", "))
	}
	for i, m := range want {
		if err := compareAnswer(&m, &got[i]); err != nil {
			return fmt.Errorf("answer %d: %w", i, err)
		}
	}
	return nil
}

func compareAnswer(want *message, got *answer) error {
	for _, bare := range []*text{want.Extra, want.Partial} {
		if bare != nil {
			if !got.raw || string(got.body) != string(*bare) {
				return fmt.Errorf("it is %q and %q, want the bytes %q", got.head, got.body, *bare)
			}
			return nil
		}
	}
	if got.raw {
		return fmt.Errorf("it is the bytes %.80q", got.body)
	}
	code := status(want.Head)
	if have := status(got.head); have != code {
		return fmt.Errorf("its status is %s, want %s", have, code)
	}
	wantFields, gotFields := fields(want.Head[1:]), fields(got.head[1:])
	for _, name := range []string{"date", "server"} { // the server's own
		if _, has := wantFields[name]; !has {
			delete(gotFields, name)
		}
	}
	serversOwn := code == "400" || code == "431" // of a malformed request: only the status counts
	if _, has := wantFields["content-type"]; serversOwn && !has {
		delete(gotFields, "content-type")
		delete(gotFields, "content-length")
		delete(wantFields, "content-length")
	}
	homepage := want.Body != nil && want.Body.text == "{homepage}"
	if homepage {
		delete(gotFields, "content-length")
		delete(wantFields, "content-length")
	}
	if diff := difference(wantFields, gotFields); diff != "" {
		return errors.New(diff)
	}
	if serversOwn && len(want.Head) <= 3 {
		return nil
	}
	if want.Framing != got.framing {
		return fmt.Errorf("its body is framed by %q, want %q", got.framing, want.Framing)
	}
	if incomplete := len(want.Incomplete) > 0; incomplete != got.incomplete {
		return fmt.Errorf("it is incomplete: %v, want %v", got.incomplete, incomplete)
	}
	if !homepage && !want.Body.matches(got.body) {
		return fmt.Errorf("its body is %.80q of %d bytes", got.body, len(got.body))
	}
	if !slices.Equal(want.Trailers, got.trailers) {
		return fmt.Errorf("its trailers are %q, want %q", got.trailers, want.Trailers)
	}
	return nil
}

// send plays the client's side and reads what comes until that is settled.
func (l *lane) send(v *vector, want *recording) ([]answer, string, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.host.URL(), "http://"))
	if err != nil {
		return nil, "", err
	}
	defer conn.Close()
	methods := v.Methods
	if len(methods) == 0 {
		methods = []string{"GET"}
	}
	sent := make(chan bool, 1)
	go func() { sent <- play(conn.(*net.TCPConn), v.Request) }()
	limit := 6 * time.Second
	if v.WaitS > 0 {
		limit = time.Duration(v.WaitS) * time.Second
	}
	if want.Client.End == "timeout" || len(want.Client.Answers) > 0 && want.Client.Answers[len(want.Client.Answers)-1].Extra != nil {
		limit = silence
	}
	begin := time.Now()
	var in []byte
	buffer := make([]byte, 64<<10)
	for {
		answers, complete := parseAnswers(in, methods)
		settled := complete >= len(want.Client.Answers) && want.Client.End == "open" && len(want.Client.Answers) > 0
		deadline := begin.Add(limit)
		if settled {
			deadline = time.Now().Add(quiet)
		}
		conn.SetReadDeadline(deadline)
		n, err := conn.Read(buffer)
		in = append(in, buffer[:n]...)
		switch timeout := net.Error(nil); {
		case err == nil:
			continue
		case errors.As(err, &timeout) && timeout.Timeout():
			if settled || complete > 0 && complete >= len(want.Client.Answers) {
				return answers, "open", nil
			}
			return finish(in, methods, false), map[bool]string{true: "open", false: "timeout"}[len(answers) > 0], nil
		case errors.Is(err, io.EOF):
			return finish(in, methods, true), "closed", nil
		case errors.Is(err, syscall.ECONNRESET):
			return finish(in, methods, false), "reset", nil
		case errors.Is(err, net.ErrClosed):
			<-sent
			return finish(in, methods, false), "client aborted", nil
		default:
			return nil, "", err
		}
	}
}

// finish parses what is there when no more comes.
func finish(in []byte, methods []string, closed bool) []answer {
	answers, _ := parseAnswers(in, methods)
	if n := len(answers); n > 0 && closed && answers[n-1].framing == "close" {
		answers[n-1].incomplete = false
	}
	return answers
}

// parseAnswers reads answers to requests of the methods as far as they have
// come, and says how many are complete.
func parseAnswers(in []byte, methods []string) (all []answer, complete int) {
	for len(in) > 0 {
		reader := bufio.NewReader(bytes.NewReader(in))
		method := "GET"
		if final := finals(all); final < len(methods) {
			method = methods[final]
		}
		a, used, done := parseAnswer(in, reader, method)
		all = append(all, a)
		if !done {
			break
		}
		complete++
		in = in[used:]
	}
	return all, complete
}

// finals is the number of answers that are not informational.
func finals(all []answer) int {
	n := 0
	for _, a := range all {
		if code := status(a.head); !strings.HasPrefix(code, "1") || code == "101" {
			n++
		}
	}
	return n
}

func parseAnswer(in []byte, reader *bufio.Reader, method string) (a answer, used int, complete bool) {
	if !bytes.HasPrefix(in, []byte("HTTP/")) {
		return answer{raw: true, body: in}, len(in), len(in) > 4
	}
	head, err := readHead(reader)
	if err != nil {
		return answer{raw: true, body: in}, len(in), false
	}
	a.head = head
	header := fields(head[1:])
	code := status(head)
	end := bytes.Index(in, []byte("\r\n\r\n")) + 4
	reader.Reset(bytes.NewReader(in[end:]))
	in = in[end:]
	length, sized := header["content-length"]
	switch {
	case code == "101":
		a.framing, a.body = "close", in
		return a, end + len(in), false
	case strings.HasPrefix(code, "1"), code == "204", code == "304", method == "HEAD":
		return a, end, true
	case strings.HasSuffix(header["transfer-encoding"], "chunked"):
		a.framing = "chunked"
		rest := bytes.NewReader(in)
		reader.Reset(rest)
		a.body, a.trailers, err = readChunked(reader)
		a.incomplete = err != nil
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // no chunk, and nothing will make it one
			a.body = nil
			return a, end, true
		}
		return a, end + len(in) - rest.Len() - reader.Buffered(), err == nil
	case sized:
		a.framing = "content-length"
		n, _ := strconv.Atoi(length) // 0 if it is odd
		a.incomplete = len(in) < n
		a.body = in[:min(n, len(in))]
		return a, end + len(a.body), !a.incomplete
	}
	a.framing, a.body, a.incomplete = "close", in, true
	return a, end + len(in), false
}
