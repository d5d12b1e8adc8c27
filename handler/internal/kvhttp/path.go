package kvhttp

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxURI bounds path and query together, in bytes as sent.
const maxURI = 8 << 10

// parseQuery reads the query. Clients may repeat a parameter, such as the
// api-version of a nextLink, but only with the same value.
func parseQuery(raw string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, badRequest("The query of the request URI is malformed.")
	}
	for name, values := range query {
		if slices.ContainsFunc(values, func(v string) bool { return v != values[0] }) {
			return nil, badRequest("The query parameter %s has several values.", name)
		}
	}
	return query, nil
}

// newestVersion takes away what stands for an empty version at the end of the
// path of a version that is read or updated. C++'s clients send an escaped slash
// there for the newest, /secrets/N/%2F, which a Functions host that proxies
// escapes again (%252F) and a front end may decode (/secrets/N//). Only this one
// segment is read so; nothing is decoded twice.
func newestVersion(method, escaped string) string {
	if method != http.MethodGet && method != http.MethodPatch {
		return escaped
	}
	path := strings.TrimRight(escaped, "/")
	end := strings.LastIndexByte(path, '/')
	if end < 0 || !strings.EqualFold(path[end+1:], "%2F") && !strings.EqualFold(path[end+1:], "%252F") {
		return escaped
	}
	object := strings.FieldsFunc(path[:end], func(r rune) bool { return r == '/' })
	if len(object) != 2 || !slices.Contains([]string{"certificates", "secrets", "keys"}, strings.ToLower(object[0])) {
		return escaped
	}
	return path[:end]
}

// segments splits a path as it came (url.URL.EscapedPath) and unescapes each
// segment once. Empty segments are dropped: clients send doubled and trailing
// slashes, and none of them may be answered with a redirect, which would lose
// the token or the body. A segment that could become another path when it is
// read again is refused.
func segments(escaped string) ([]string, error) {
	var out []string
	for raw := range strings.SplitSeq(escaped, "/") {
		if raw == "" {
			continue
		}
		s, err := url.PathUnescape(raw)
		if err != nil || s == "." || s == ".." || strings.ContainsAny(s, `/\`) {
			return nil, badRequest("The request URI contains an invalid name: %s", raw)
		}
		out = append(out, s)
	}
	return out, nil
}
