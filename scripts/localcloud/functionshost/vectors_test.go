// The recordings of the real host, and how they compare.

package functionshost_test

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// vectorFiles is what the real parts of the host put on the wire; the README
// beside it says how it was recorded and what the fields mean.
//
//go:embed testdata/vectors/*.json
var vectorFiles embed.FS

// requestFiles are those that hold requests with what becomes of them.
var requestFiles = []string{"answers", "bodies", "connections", "headers", "hosts", "methods", "paths", "queries", "routes"}

// A vector is one connection to the host: what the client sends, how the
// handler answers, and what each side of a host in one mode then has seen.
type vector struct {
	ID       string    `json:"id"`
	Note     string    `json:"note"`
	Request  []piece   `json:"request"`
	Profile  string    `json:"profile"`
	Answers  *script   `json:"handler_answers"`
	Methods  []string  `json:"answers_expected_for"`
	WaitS    int       `json:"wait_s"`
	Proxy    recording `json:"proxy"`
	Forward  recording `json:"forward"`
	Unstable bool      `json:"unstable"`
}

// A recording is the truth in one mode.
type recording struct {
	Received []message    `json:"handler_receives"`
	Client   clientRecord `json:"client_receives"`
	Seconds  int          `json:"seconds"` // if more than 1
}

// A clientRecord is what the client reads: answers, and how the connection
// ends. The text "ok" stands for the usual one.
type clientRecord struct {
	Answers []message `json:"answers"`
	End     string    `json:"end"`
}

func (c *clientRecord) UnmarshalJSON(data []byte) error {
	if string(data) == `"ok"` {
		*c = clientRecord{
			Answers: []message{{
				Head:    []text{"HTTP/1.1 200 OK", "Content-Length: 2", "Content-Type: text/plain"},
				Framing: "content-length", Body: &body{text: "ok"},
			}},
			End: "open",
		}
		return nil
	}
	type plain clientRecord
	return json.Unmarshal(data, (*plain)(c))
}

// A message is a request or an answer as it was on the wire. Extra and Partial
// are bytes that are no message.
type message struct {
	Head       []text          `json:"head"`
	Framing    string          `json:"framing"`
	Body       *body           `json:"body"`
	Trailers   []text          `json:"trailers"`
	Incomplete json.RawMessage `json:"incomplete"`
	Times      int             `json:"times"` // equal messages in a row, if more than one
	Extra      *text           `json:"extra"`
	Partial    *text           `json:"partial"`
}

// A text is a string, or bytes that are not ASCII as {"base64"}.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	var raw struct{ Base64 []byte }
	if data[0] != '{' {
		return json.Unmarshal(data, (*string)(t))
	}
	err := json.Unmarshal(data, &raw)
	*t = text(raw.Base64)
	return err
}

// A body is a text, or the length and the hash of a long one.
type body struct {
	text   text
	length int
	sha256 string
}

func (b *body) UnmarshalJSON(data []byte) error {
	var long struct {
		Length int
		SHA256 string
	}
	if data[0] == '{' {
		if err := json.Unmarshal(data, &long); err != nil {
			return err
		}
	}
	b.length, b.sha256 = long.Length, long.SHA256
	if b.sha256 != "" {
		return nil
	}
	return b.text.UnmarshalJSON(data)
}

func (b *body) matches(got []byte) bool {
	if b == nil {
		return len(got) == 0
	}
	if b.sha256 == "" {
		return expand(string(b.text)) == string(got)
	}
	sum := sha256.Sum256(got)
	return len(got) == b.length && strings.EqualFold(hex.EncodeToString(sum[:]), b.sha256)
}

// A script is how the handler answers.
type script struct {
	Steps    []piece   `json:"steps"`
	When     string    `json:"when"`     // "head": before the body is read
	Continue bool      `json:"continue"` // 100 Continue after the header
	Nth      [][]piece `json:"nth"`      // the steps for each request
}

// A piece is bytes to send, or something else to do with a connection.
type piece struct {
	bytes      []byte
	PauseMS    int    `json:"pause_ms"`
	Close      any    `json:"close"` // true, or "write" for one's own side
	Reset      bool   `json:"reset"`
	Abort      bool   `json:"abort"` // the client's word for reset
	Base64     string `json:"base64"`
	Repeat     string `json:"repeat"`
	Times      int    `json:"times"`
	closeWrite bool
	close      bool
}

func (p *piece) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		var s string
		err := json.Unmarshal(data, &s)
		p.bytes = []byte(s)
		return err
	}
	type plain piece
	if err := json.Unmarshal(data, (*plain)(p)); err != nil {
		return err
	}
	p.close, p.closeWrite = p.Close == true, p.Close == "write"
	p.Reset = p.Reset || p.Abort
	p.bytes = []byte(strings.Repeat(p.Repeat, p.Times))
	if p.Base64 != "" {
		var err error
		p.bytes, err = base64.StdEncoding.DecodeString(p.Base64)
		return err
	}
	return nil
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	var all []vector
	for _, name := range requestFiles {
		data, err := vectorFiles.ReadFile("testdata/vectors/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Vectors []vector }
		if err := json.Unmarshal(data, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, file.Vectors...)
	}
	return all
}

// usual is what "{usual}" in the header that the handler receives stands for.
var usual = map[string][]text{
	"proxy": {
		"Host: 127.0.0.1:{handler_port}", "X-Azure-Functions-HostVersion: 4.1052.200",
		"X-Azure-Functions-InvocationId: {invocation_id}", "x-ms-invocation-id: {invocation_id}",
		"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: app.example", "X-Forwarded-Proto: http",
	},
	"forward": {
		"Host: app.example", "X-Azure-Functions-HostVersion: 4.1052.200",
		"X-Azure-Functions-InvocationId: {invocation_id}", "User-Agent: Azure-Functions-Host/4.1052.200",
	},
}

var (
	run        = regexp.MustCompile(`\{([^{]+?)\*(\d+)\}`)
	invocation = regexp.MustCompile(`[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$`)
	requestID  = regexp.MustCompile(`\.[0-9a-f]{8}\.$`)
	ownTrace   = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`)
)

// expand writes out runs: "{x*3}" is "xxx".
func expand(s string) string {
	return run.ReplaceAllStringFunc(s, func(found string) string {
		m := run.FindStringSubmatch(found)
		n, _ := strconv.Atoi(m[2]) // digits
		return strings.Repeat(m[1], n)
	})
}

// fields are the lines of a header by name in lower case, those of one name
// joined: names compare without regard to case, and the order of different
// ones does not count.
func fields(lines []text) map[string]string {
	all := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(expand(string(line)), ":")
		name, value = strings.ToLower(name), strings.Trim(value, " \t")
		if past, ok := all[name]; ok {
			value = past + ", " + value
		}
		all[name] = value
	}
	return all
}

// received is fields of what the handler got, with placeholders for what
// differs each time and without what no handler can depend on.
func receivedFields(lines []text, handlerPort int) map[string]string {
	all := fields(lines)
	for _, name := range []string{"x-azure-functions-invocationid", "x-ms-invocation-id"} {
		if value, ok := all[name]; ok {
			all[name] = invocation.ReplaceAllString(value, "{invocation_id}")
		}
	}
	if host, ok := all["host"]; ok {
		all["host"] = strings.ReplaceAll(host, strconv.Itoa(handlerPort), "{handler_port}")
	}
	if id, ok := all["request-id"]; ok {
		all["request-id"] = requestID.ReplaceAllString(id, ".{span}.")
	}
	if ownTrace.MatchString(all["traceparent"]) {
		delete(all, "traceparent")
	}
	return all
}

// expandUsual writes out "{usual}".
func expandUsual(lines []text, mode string) []text {
	if i := slices.Index(lines, "{usual}"); i >= 0 {
		return slices.Concat(lines[:i], usual[mode], lines[i+1:])
	}
	return lines
}

// startLine writes out runs in a request line.
func startLine(lines []text) string {
	if len(lines) == 0 {
		return ""
	}
	return expand(string(lines[0]))
}

// status is the code of an answer; reason phrases do not count.
func status(lines []text) string {
	if parts := strings.Fields(startLine(lines)); len(parts) > 1 {
		return parts[1]
	}
	return ""
}

// difference names the first difference between two headers, or is empty.
func difference(want, got map[string]string) string {
	var all []string
	for name, value := range want {
		if have, ok := got[name]; !ok || have != value {
			all = append(all, fmt.Sprintf("%s is %.120q, want %.120q", name, have, value))
		}
	}
	for name, value := range got {
		if _, ok := want[name]; !ok {
			all = append(all, fmt.Sprintf("%s: %.120q is new", name, value))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}
