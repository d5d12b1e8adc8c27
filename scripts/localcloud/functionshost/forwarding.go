package functionshost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
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

// forward sends a rebuilt request to the handler and its whole response back.
func (h *Host) forward(ctx context.Context, w http.ResponseWriter, r *http.Request, c *call) error {
	if len(r.TransferEncoding) > 0 {
		return errors.New("forwarding: a chunked request has no content for the host's client to send")
	}
	out, err := http.NewRequestWithContext(ctx, r.Method, "http://"+h.worker.address, bytes.NewReader(c.body))
	if err != nil {
		return fmt.Errorf("forwarding: %w", err)
	}
	setURL(out, h.worker.address, forwardedPath(c.path), parseQuery(r.URL.RawQuery).encode())
	out.Host = r.Host
	out.Header = forwardedHeader(r.Header, c)
	res, err := h.transport.RoundTrip(out)
	if err != nil {
		return fmt.Errorf("forwarding: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	if err == nil && len(body) > maxResponse {
		err = fmt.Errorf("the response is larger than %d bytes", maxResponse)
	}
	if err != nil {
		return fmt.Errorf("reading a forwarded response: %w", err)
	}
	for name, values := range res.Header {
		w.Header()[name] = values
	}
	if r.Method != http.MethodHead && res.StatusCode != http.StatusNotModified && res.StatusCode != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(res.StatusCode)
	if _, err := w.Write(body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		h.cfg.Log.Debug("answering", "invocation", c.id, "error", err)
	}
	return nil
}

// forwardedHeader copies the client's header for the handler. What the client
// sent under the host's own names stays, in front of the host's values.
func forwardedHeader(in http.Header, c *call) http.Header {
	header := http.Header{}
	for name, values := range in {
		if !slices.Contains(contentHeaders, name) {
			header[name] = slices.Clone(values)
		}
	}
	if kind := in.Get("Content-Type"); len(c.body) > 0 && kind != "" {
		header.Set("Content-Type", kind)
	}
	header.Add(versionHeader, hostVersion)
	header.Add(invocationHeader, c.id)
	header.Set("User-Agent", strings.TrimSpace(strings.Join(append(header.Values("User-Agent"), userAgent), " ")))
	joinValues(header)
	return header
}

// A queryField is one key of a query with all its values joined.
type queryField struct{ key, value string }

// A query is the host's idea of one: a key occurs once, whatever its case.
type query []queryField

// parseQuery never fails: what cannot be unescaped is taken literally.
func parseQuery(raw string) query {
	var q query
	for pair := range strings.SplitSeq(raw, "&") {
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
		q[i].value += "," + value
	}
	return q
}

func unescapeQuery(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// encode writes the query as the host does, spaces as "%20".
func (q query) encode() string {
	fields := make([]string, len(q))
	for i, f := range q {
		fields[i] = escapeQuery(f.key) + "=" + escapeQuery(f.value)
	}
	return strings.Join(fields, "&")
}

func escapeQuery(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// values is the query as a map.
func (q query) values() map[string]string {
	m := make(map[string]string, len(q))
	for _, f := range q {
		m[f.key] = f.value
	}
	return m
}
