package functionshost

import (
	"strings"
	"unicode/utf8"
)

// serverPath decodes the path of a request line as the host's web server does:
// percent-escapes of well-formed UTF-8 once, except "%2F"; then dot segments go.
// Routes are matched against the result. What does not begin with a slash ("*")
// has no path.
func serverPath(escaped string) string {
	if !strings.HasPrefix(escaped, "/") {
		return ""
	}
	var decoded strings.Builder
	for i := 0; i < len(escaped); {
		if text, n := unescapeRune(escaped[i:]); n > 0 && text != "/" {
			decoded.WriteString(text)
			i += n
			continue
		}
		decoded.WriteByte(escaped[i])
		i++
	}
	return removeDotSegments(decoded.String())
}

// unescapeRune decodes the rune whose UTF-8 bytes are escaped at the start of
// text, and returns how much of text that was; 0 if there is none.
func unescapeRune(text string) (string, int) {
	var raw []byte
	for len(raw) < utf8.UTFMax && len(text) >= 3 && text[0] == '%' {
		high, ok1 := hexDigit(text[1])
		low, ok2 := hexDigit(text[2])
		if !ok1 || !ok2 {
			break
		}
		raw = append(raw, high<<4|low)
		text = text[3:]
		if utf8.FullRune(raw) {
			break
		}
	}
	if r, n := utf8.DecodeRune(raw); n > 0 && n == len(raw) && (r != utf8.RuneError || n > 1) {
		return string(raw), 3 * n
	}
	return "", 0
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// removeDotSegments resolves "." and ".." in an absolute path (RFC 3986
// section 5.2.4). Empty segments stay.
func removeDotSegments(path string) string {
	var kept []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, s := range segments {
		switch {
		case s != "." && s != "..":
			kept = append(kept, s)
			continue
		case s == ".." && len(kept) > 0:
			kept = kept[:len(kept)-1]
		}
		if i == len(segments)-1 { // "/a/." is "/a/"
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

// proxiedPath escapes a decoded path as the proxy of newer hosts (YARP) does:
// whatever may not stand in a path, "%" included. So "%2F", which the server
// leaves alone, arrives as "%252F".
func proxiedPath(path string) string {
	var out strings.Builder
	for i := range len(path) {
		escapeByte(&out, path[i], isPathByte(path[i]))
	}
	return out.String()
}

// proxiedQuery is a query after the same proxy: as it came, but for what .NET
// does to any URI.
func proxiedQuery(query string) string {
	var out strings.Builder
	for i := 0; i < len(query); i++ {
		c := query[i]
		if c == '%' && len(query) > i+2 && isHex(query[i+1]) && isHex(query[i+2]) {
			high, _ := hexDigit(query[i+1])
			low, _ := hexDigit(query[i+2])
			escapeByte(&out, high<<4|low, isUnreserved(high<<4|low))
			i += 2
			continue
		}
		escapeByte(&out, c, isPathByte(c) || strings.IndexByte("?[]", c) >= 0)
	}
	return out.String()
}

// forwardedPath is what is left of a decoded path after older hosts have put
// it into a .NET Uri: cut at "?" or "#", backslashes turned into slashes,
// escapes of unreserved characters undone, dot segments resolved again, other
// escapes kept and the rest escaped. If it is the last of the URI, without a
// query, spaces at its end go.
func forwardedPath(path string, last bool) string {
	if last {
		path = strings.TrimRight(path, " \t\r\n")
	}
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	path = strings.ReplaceAll(path, `\`, "/")
	var plain strings.Builder
	for i := 0; i < len(path); {
		if text, n := unescapeRune(path[i:]); n == 3 && isUnreserved(text[0]) {
			plain.WriteString(text)
			i += n
			continue
		}
		plain.WriteByte(path[i])
		i++
	}
	path = removeDotSegments(plain.String())
	var out strings.Builder
	for i := range len(path) {
		isEscape := path[i] == '%' && len(path) > i+2 && isHex(path[i+1]) && isHex(path[i+2])
		escapeByte(&out, path[i], isEscape || isPathByte(path[i]) || path[i] == '[' || path[i] == ']')
	}
	return out.String()
}

func isHex(c byte) bool {
	_, ok := hexDigit(c)
	return ok
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// isPathByte reports whether c may stand in a path unescaped (RFC 3986 pchar, or "/").
func isPathByte(c byte) bool {
	return isUnreserved(c) || strings.IndexByte("!$&'()*+,;=:@/", c) >= 0
}

func escapeByte(out *strings.Builder, c byte, asIs bool) {
	const upperHex = "0123456789ABCDEF"
	if asIs {
		out.WriteByte(c)
		return
	}
	out.WriteByte('%')
	out.WriteByte(upperHex[c>>4])
	out.WriteByte(upperHex[c&15])
}
