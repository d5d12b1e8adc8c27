package funchost

import (
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

var (
	hostForm       = regexp.MustCompile(`^([0-9A-Za-z.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$`)
	invocationForm = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
)

// ClientHost returns the host, with port if any and in lower case, that the
// client of an HTTP function addressed, or "" if it is not of a host's form.
//
// A host that forwards keeps the Host field. A host that proxies replaces it by
// the handler's own address and sets X-Forwarded-Host. In the first case
// X-Forwarded-Host is whatever the client wrote, so it is not looked at.
//
// Either way the client chose the value: use it to select among known hosts,
// never to build a URL.
func ClientHost(r *http.Request) string {
	host := r.Host
	if forwarded := lastElement(r.Header, "X-Forwarded-Host"); forwarded != "" && atOwnAddress(r) {
		host = forwarded
	}
	if !hostForm.MatchString(host) {
		return ""
	}
	return strings.ToLower(host)
}

// atOwnAddress reports whether r is addressed to the very address that it came
// in at, as only the host addresses a handler.
func atOwnAddress(r *http.Request) bool {
	own, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return own != nil && r.Host == own.String()
}

// InvocationID returns the host's id of the function invocation that r belongs
// to, or "" if there is none. A host that forwards adds its id after one that the
// client may have sent, so the last counts.
func InvocationID(r *http.Request) string {
	id := lastElement(r.Header, "X-Azure-Functions-InvocationId")
	if !invocationForm.MatchString(id) {
		return ""
	}
	return id
}

// lastElement returns the last element of a comma-separated header field
// (RFC 9110 section 5.6.1), which may stand on several lines.
func lastElement(header http.Header, name string) string {
	lines := header.Values(name)
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}

// maxLogURL bounds what is logged of a request's URL, in bytes.
const maxLogURL = 2 << 10

const redacted = "REDACTED"

// loggedParameters are the query parameters that are logged with their values, by
// name in lower case.
var loggedParameters = map[string]bool{
	"api-version":    true,
	"maxresults":     true,
	"includepending": true,
	"request_id":     true,
}

var loggedValue = regexp.MustCompile(`^[0-9A-Za-z._-]{0,64}$`)

// LogURL returns the path and query of r for a log. The values of all parameters
// but the few of the API itself are left out: a function key travels as "code",
// and a client may put anything else there. (A key travels in the header field
// x-functions-key too. Header fields, and Authorization first of all, do not
// belong in a log.)
func LogURL(r *http.Request) string {
	s := r.URL.EscapedPath()
	if query := r.URL.RawQuery; query != "" {
		pairs := strings.Split(query, "&")
		for i, pair := range pairs {
			pairs[i] = redactPair(pair)
		}
		s += "?" + strings.Join(pairs, "&")
	}
	if len(s) > maxLogURL {
		s = s[:maxLogURL] + "..."
	}
	return s
}

func redactPair(pair string) string {
	rawName, value, hasValue := strings.Cut(pair, "=")
	name, err := url.QueryUnescape(rawName)
	switch {
	case err == nil && loggedParameters[strings.ToLower(name)] && loggedValue.MatchString(value):
		return pair
	case hasValue:
		return rawName + "=" + redacted
	case pair == "":
		return ""
	default: // a bare value may be the secret itself
		return redacted
	}
}
