package functionshost

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	userAgent = "Azure-Functions-Host/" + hostVersion
	// maxResponse is the largest response that is buffered, in bytes.
	maxResponse = 1<<31 - 1
)

// contentHeaders are not copied to a forwarded request, because .NET keeps
// them apart from the others. Content-Type and Content-Length go with a body.
var contentHeaders = []string{
	"Allow", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Location",
	"Content-Md5", "Content-Range", "Content-Type", "Expires", "Last-Modified",
}

func hasContentHeaders(header http.Header) bool {
	return slices.ContainsFunc(contentHeaders, func(name string) bool { return header.Get(name) != "" })
}

// forward sends a rebuilt request to the handler and its whole response back.
func (h *Host) forward(ctx context.Context, w *hostWriter, r *http.Request, c *call) error {
	if r.ContentLength < 0 {
		return errors.New("forwarding: a chunked request has no content for the host's client to send")
	}
	out, err := h.forwarded(r, c)
	if err != nil {
		return fmt.Errorf("forwarding: %w", err)
	}
	res, err := h.exchange(ctx, out, 1)
	if err != nil {
		return fmt.Errorf("forwarding: %w", err)
	}
	defer res.Body.Close()
	if err := checkAnswer(res.Header); err != nil {
		return fmt.Errorf("forwarding: %w", err)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return h.tunnel(w, res)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	if err == nil && len(body) > maxResponse {
		err = fmt.Errorf("the response is larger than %d bytes", maxResponse)
	}
	if err != nil {
		return fmt.Errorf("reading a forwarded response: %w", err)
	}
	for name, values := range res.Header {
		if values = forwardedValues(name, values); len(values) > 0 {
			w.Header()[name] = values
		}
	}
	setTrailerNames(w.Header(), res)
	connection := res.Header["Connection"]
	switch res.StatusCode {
	case http.StatusNoContent, http.StatusNotModified, http.StatusResetContent: // after these the host ends the connection
		front(r).finished.Store(true)
	default:
		front(r).finished.Store(len(connection) > 0 && !httpguts.HeaderValuesContainsToken(connection, "keep-alive"))
	}
	if r.Method != http.MethodHead && res.StatusCode != http.StatusNoContent && (len(body) > 0 || w.Header().Get("Content-Length") == "") {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(res.StatusCode)
	if _, err := w.Write(body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		h.cfg.Log.Debug("answering", "invocation", c.id, "error", err)
	}
	return nil
}

// forwarded is the request as the host rebuilds it. What the client sent under
// the host's own names stays, in front of the host's values.
func (h *Host) forwarded(r *http.Request, c *call) (*upstream, error) {
	header := http.Header{}
	for name, values := range r.Header {
		if !slices.Contains(contentHeaders, name) {
			header[name] = slices.Clone(values)
		}
	}
	for i, value := range header["Connection"] {
		header["Connection"][i] = knownConnection(value)
	}
	u := &upstream{
		method: knownMethod(r.Method), path: forwardedPath(c.head.path, c.head.query == ""), query: parseQuery(c.head.query).encode(),
		host: r.Host, header: header, length: int64(len(c.body)), zeroLength: needsLength(knownMethod(r.Method)),
	}
	if len(c.body) > 0 {
		u.body = bytes.NewReader(c.body)
		kind := strings.Join(r.Header["Content-Type"], ",")
		if _, _, err := mime.ParseMediaType(kind); kind != "" && (err != nil || !strings.Contains(kind, "/")) {
			return nil, fmt.Errorf("Content-Type %q cannot be parsed", kind)
		}
		if kind != "" {
			header.Set("Content-Type", kind)
		}
	}
	h.trace(header)
	header.Add(versionHeader, hostVersion)
	header.Add(invocationHeader, c.id)
	header.Set("User-Agent", strings.TrimSpace(strings.Join(append(header.Values("User-Agent"), userAgent), " ")))
	joinValues(header)
	return u, nil
}

// knownConnection is a value of Connection as the host's web server keeps it:
// if it has one of the options that mean something there, only that.
func knownConnection(value string) string {
	known := ""
	for option := range strings.SplitSeq(value, ",") {
		switch option = strings.TrimSpace(option); {
		case strings.EqualFold(option, "close"), strings.EqualFold(option, "keep-alive"):
			option = strings.ToLower(option)
		case strings.EqualFold(option, "upgrade"):
			option = "Upgrade"
		default:
			continue
		}
		if known != "" && known != option {
			return value
		}
		known = option
	}
	return cmp.Or(known, value)
}

// forwardedValues are the values of a header of the answer after .NET has
// parsed and written them.
func forwardedValues(name string, values []string) []string {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	switch name {
	case "Cache-Control":
		if len(values) > 0 {
			values = []string{strings.Join(values, ", ")}
		}
	case "Allow", "Www-Authenticate", "Proxy-Authenticate":
		values = splitEmptyElements(values)
	case "Location", "Content-Location":
		for i, value := range values {
			values[i] = absoluteURI(value)
		}
	}
	return values
}

// splitEmptyElements puts what an empty element of a list separates on lines
// of their own.
func splitEmptyElements(values []string) []string {
	var lines []string
	for _, value := range values {
		var line []string
		for element := range strings.SplitSeq(value, ",") {
			if strings.TrimSpace(element) != "" {
				line = append(line, element)
				continue
			}
			lines, line = append(lines, strings.TrimSpace(strings.Join(line, ","))), nil
		}
		lines = append(lines, strings.TrimSpace(strings.Join(line, ",")))
	}
	return slices.DeleteFunc(lines, func(line string) bool { return line == "" })
}

// absoluteURI writes an absolute http URI as .NET does: what may not stand in
// it escaped, backslashes turned.
func absoluteURI(value string) string {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return value
	}
	path, query, _ := strings.Cut(rest, "?")
	host, path, hasPath := strings.Cut(strings.ReplaceAll(path, `\`, "/"), "/")
	if !isHost(host) || !hasPath {
		return value
	}
	if query = strings.TrimPrefix(value[len(value)-len(query):], "?"); query != "" {
		query = "?" + query
	}
	return scheme + "://" + host + forwardedPath("/"+path, query == "") + query
}

// A queryField is one key of a query with all its values joined.
type queryField struct{ key, value string }

// A query is the host's idea of one: a key occurs once, whatever its case.
type query []queryField

// parseQuery reads a query with or without its question mark. It never fails:
// what cannot be unescaped is taken literally.
func parseQuery(raw string) query {
	var q query
	for pair := range strings.SplitSeq(strings.TrimPrefix(raw, "?"), "&") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, value = unescapeQuery(key), unescapeQuery(value)
		i := slices.IndexFunc(q, func(f queryField) bool { return strings.EqualFold(f.key, key) })
		if i < 0 {
			q = append(q, queryField{key, value})
			continue
		}
		q[i].key = key // the last spelling stays
		if value != "" || q[i].value != "" {
			q[i].value += "," + value
		}
	}
	return q
}

func unescapeQuery(text string) string {
	text = strings.ReplaceAll(text, "+", " ")
	var out strings.Builder
	for i := 0; i < len(text); {
		if plain, n := unescapeRune(text[i:]); n > 0 {
			out.WriteString(plain)
			i += n
			continue
		}
		out.WriteByte(text[i])
		i++
	}
	return out.String()
}

// encode writes the query as the host does, with its question mark if it is
// not empty.
func (q query) encode() string {
	fields := make([]string, len(q))
	for i, f := range q {
		fields[i] = escapeQuery(f.key) + "=" + escapeQuery(f.value)
	}
	if len(fields) == 0 {
		return ""
	}
	return "?" + strings.Join(fields, "&")
}

func escapeQuery(text string) string {
	var out strings.Builder
	for i := range len(text) {
		escapeByte(&out, text[i], isUnreserved(text[i]) || strings.IndexByte("!$()*,;@", text[i]) >= 0)
	}
	return out.String()
}

// values is the query as a map.
func (q query) values() map[string]string {
	m := make(map[string]string, len(q))
	for _, f := range q {
		m[f.key] = f.value
	}
	return m
}
