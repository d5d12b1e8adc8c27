package functionshost

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

// The limits of the host's web server (Kestrel).
const (
	maxRequestLine = 8 << 10
	maxHeader      = 32 << 10 // bytes of all header lines
	maxFields      = 100
)

// A requestHead is a request line with its header, as the host's web server
// reads them: laxer than Go's in targets, stricter in headers. If refusal is
// not zero, it is the status that the request gets whatever it asks for.
type requestHead struct {
	refusal int

	method    string
	target    string // as the client wrote it
	path      string // of the target, decoded; empty for "*"
	query     string // of the target, with its question mark
	http10    bool
	header    http.Header // without Host
	host      string
	hasHost   bool
	length    int64 // Content-Length; -1 without one
	chunked   bool
	expects   bool // 100 Continue
	keepAlive bool // said so itself
	closes    bool // said so itself
}

// A refused head is only a status.
func refused(status int) *requestHead { return &requestHead{refusal: status, length: -1} }

// headEnd returns where the head at the start of data ends, or 0 if it has not
// come completely. Lines end with LF, before which there may be CR.
func headEnd(data []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(data[i:], '\n')
		if n < 0 {
			return 0
		}
		line := bytes.TrimSuffix(data[i:i+n], []byte("\r"))
		i += n + 1
		if len(line) == 0 && i > n+1 {
			return i
		}
	}
}

// tooLong is the status for a head, or the beginning of one, that is longer
// than a head may be; 0 if it is not.
func tooLong(data []byte) int {
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	if n := headEnd(data); n > 0 {
		rest = rest[:n-len(line)-1]
	}
	switch {
	case len(line) > maxRequestLine:
		return http.StatusRequestURITooLong
	case len(rest) > maxHeader+len("\r\n"):
		return http.StatusRequestHeaderFieldsTooLarge
	}
	return 0
}

// parseHead reads a complete head.
func parseHead(data []byte) *requestHead {
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	lines = lines[:len(lines)-1] // the empty one
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	h := &requestHead{header: http.Header{}, length: -1}
	if h.refusal = h.parseLine(lines[0]); h.refusal == 0 {
		h.refusal = h.parseFields(lines[1:])
	}
	if h.refusal == 0 {
		h.refusal = h.check()
	}
	if h.refusal != 0 {
		return refused(h.refusal)
	}
	return h
}

func (h *requestHead) parseLine(line string) int {
	method, rest, _ := strings.Cut(line, " ")
	target, version, _ := strings.Cut(rest, " ")
	switch {
	case !httpguts.ValidHeaderFieldName(method) || target == "" || version == "" || strings.ContainsAny(version, " \t\r"):
		return http.StatusBadRequest
	case version != "HTTP/1.1" && version != "HTTP/1.0":
		return http.StatusHTTPVersionNotSupported
	}
	for i := range len(target) {
		if target[i] == 0 || target[i] >= utf8.RuneSelf {
			return http.StatusBadRequest
		}
	}
	h.method, h.target, h.http10 = method, target, version == "HTTP/1.0"
	return h.parseTarget()
}

// knownMethods are those that .NET's client writes in its own case.
var knownMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions, http.MethodTrace, http.MethodConnect,
}

func knownMethod(method string) string {
	if known := strings.ToUpper(method); slices.Contains(knownMethods, known) {
		return known
	}
	return method
}

func (h *requestHead) parseTarget() int {
	path, query, has := strings.Cut(h.target, "?")
	if has {
		h.query = "?" + query
	}
	switch {
	case h.target == "*" && h.method == http.MethodOptions:
		return 0
	case h.target == "*":
		return http.StatusMethodNotAllowed
	case strings.HasPrefix(path, "/"):
	default: // http://host/path
		lower := strings.ToLower(path)
		if !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") {
			return http.StatusBadRequest
		}
		_, rest, _ := strings.Cut(path, "//")
		_, rest, _ = strings.Cut(rest, "/")
		path = "/" + rest
	}
	if strings.Contains(path, "%00") {
		return http.StatusBadRequest
	}
	h.path = serverPath(path)
	return 0
}

func (h *requestHead) parseFields(lines []string) int {
	if len(lines) > maxFields {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok || !httpguts.ValidHeaderFieldName(name) || strings.ContainsAny(value, "\x00\r") || !utf8.ValidString(value) {
			return http.StatusBadRequest
		}
		value = strings.Trim(value, " \t")
		switch name := http.CanonicalHeaderKey(name); {
		case name == "Host" && h.hasHost:
			return http.StatusBadRequest
		case name == "Host":
			h.host, h.hasHost = value, true
		default:
			h.header.Add(name, value)
		}
	}
	return 0
}

// check looks at what header fields say together.
func (h *requestHead) check() int {
	if !h.hasHost && !h.http10 || !isHost(h.host) || !h.agreesWithTarget() {
		return http.StatusBadRequest
	}
	if values, ok := h.header["Content-Length"]; ok {
		n, err := strconv.ParseInt(strings.Join(values, ","), 10, 64) // "+2" is taken
		if err != nil || n < 0 {
			return http.StatusBadRequest
		}
		h.length = n
	}
	if values, ok := h.header["Transfer-Encoding"]; ok {
		codings := strings.Split(strings.Join(values, ","), ",")
		if !strings.EqualFold(strings.TrimSpace(codings[len(codings)-1]), "chunked") {
			return http.StatusBadRequest
		}
		h.chunked = true
		if h.length >= 0 { // RFC 9112 section 6.3: the length is ignored, and the connection cannot be trusted
			h.header["X-Content-Length"] = h.header["Content-Length"]
			h.header.Del("Content-Length")
			h.length, h.closes = -1, true
		}
	}
	if h.http10 && h.length < 0 && !h.chunked && (h.method == http.MethodPost || h.method == http.MethodPut) {
		return http.StatusBadRequest
	}
	h.expects = strings.EqualFold(h.header.Get("Expect"), "100-continue")
	h.closes = h.closes || httpguts.HeaderValuesContainsToken(h.header["Connection"], "close")
	h.keepAlive = httpguts.HeaderValuesContainsToken(h.header["Connection"], "keep-alive")
	return 0
}

// agreesWithTarget reports whether a target that names a host names the one of
// the header. The port that the scheme has anyway may be missing there.
func (h *requestHead) agreesWithTarget() bool {
	if strings.HasPrefix(h.target, "/") || h.target == "*" {
		return h.method != http.MethodConnect || strings.HasPrefix(h.target, "/")
	}
	scheme, rest, _ := strings.Cut(h.target, "://")
	authority, _, _ := strings.Cut(rest, "/")
	authority, _, _ = strings.Cut(authority, "?")
	u := url.URL{Scheme: scheme, Host: authority[strings.LastIndexByte(authority, '@')+1:]}
	usual := map[string]string{"http": "80", "https": "443"}[strings.ToLower(scheme)]
	return strings.EqualFold(u.Host, h.host) || u.Port() == usual && strings.EqualFold(u.Hostname(), h.host)
}

// isHost reports whether the server takes the value of Host, which may be
// empty. Whether it names a host is another question: see [isURIHost].
func isHost(host string) bool {
	if host == "" {
		return true
	}
	name, port, hasPort := strings.Cut(host, ":")
	if inner, ok := strings.CutPrefix(host, "["); ok {
		address, rest, closed := strings.Cut(inner, "]")
		if !closed || strings.Trim(address, "0123456789abcdefABCDEF:.") != "" || address == "" {
			return false
		}
		name = "x"
		if port, hasPort = strings.CutPrefix(rest, ":"); !hasPort && rest != "" {
			return false
		}
	}
	for i := range len(name) {
		if !isUnreserved(name[i]) && strings.IndexByte("!$&'()", name[i]) < 0 {
			return false
		}
	}
	return name != "" && (!hasPort || port != "" && strings.Trim(port, "0123456789") == "")
}

// isURIHost reports whether .NET makes a URI with the host. Where it does not,
// the binding of the HTTP trigger throws.
func isURIHost(host string) bool {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name, port = host[:i], host[i+1:]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return name != "" && !strings.HasPrefix(name, ".") && !strings.Contains(name, "..") && (port == "" || err == nil && n <= 65535)
}

// goHead is a head that Go's server reads without objection and that frames
// the body in the same way.
func (h *requestHead) goHead() []byte {
	var b bytes.Buffer
	version := "1.1"
	if h.http10 && !h.chunked { // Go's server does not know chunks in 1.0
		version = "1.0"
	}
	method := h.method
	if h.refusal != 0 || method == http.MethodConnect {
		method = http.MethodGet
	}
	b.WriteString(method + " / HTTP/" + version + "\r\nHost: x\r\n")
	switch {
	case h.chunked:
		b.WriteString("Transfer-Encoding: chunked\r\n")
	case h.length >= 0:
		b.WriteString("Content-Length: " + strconv.FormatInt(h.length, 10) + "\r\n")
	}
	switch {
	case h.refusal != 0 || h.closes:
		b.WriteString("Connection: close\r\n")
	case h.keepAlive:
		b.WriteString("Connection: keep-alive\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}
