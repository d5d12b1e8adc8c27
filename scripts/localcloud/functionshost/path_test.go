package functionshost

// Paths and queries as ASP.NET reads them.

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ path, server, proxied, forwarded string }{
		{"/a/B/", "/a/B/", "/a/B/", "/a/B/"},
		{"/a%20b", "/a b", "/a%20b", "/a%20b"},
		{"/%C3%BC", "/ü", "/%C3%BC", "/%C3%BC"},
		{"/a%2Fb%2f", "/a%2Fb%2f", "/a%252Fb%252f", "/a%2Fb%2f"},
		{"/%41%7E", "/A~", "/A~", "/A~"},
		{"/%2541", "/%41", "/%2541", "/A"}, // .NET unescapes a second time
		{"/a/%2E%2e/b", "/b", "/b", "/b"},
		{"/a/%252E%252e/b", "/a/%2E%2e/b", "/a/%252E%252e/b", "/b"},
		{"/a/..%5Cb", `/a/..\b`, "/a/..%5Cb", "/b"},
		{"/a%3Fb", "/a?b", "/a%3Fb", "/a"},
		{"/a%23b", "/a#b", "/a%23b", "/a"},
		{"/100%25", "/100%", "/100%25", "/100%25"},
		{"/%C3%28", "/%C3(", "/%25C3(", "/%C3("}, // not UTF-8
		{"/%EF%BF%BD", "/\uFFFD", "/%EF%BF%BD", "/%EF%BF%BD"},
		{"/a/.", "/a/", "/a/", "/a/"},
		{"/a/..", "/", "/", "/"},
		{"/../..", "/", "/", "/"},
		{"//a//", "//a//", "//a//", "//a//"},
		{"/!$&'()*+,;=:@-._~", "/!$&'()*+,;=:@-._~", "/!$&'()*+,;=:@-._~", "/!$&'()*+,;=:@-._~"},
		{`/"<>[]^|{}`, `/"<>[]^|{}`, "/%22%3C%3E%5B%5D%5E%7C%7B%7D", "/%22%3C%3E[]%5E%7C%7B%7D"},
	} {
		server := serverPath(test.path)
		if proxied, forwarded := proxiedPath(server), forwardedPath(server, true); server != test.server || proxied != test.proxied || forwarded != test.forwarded {
			t.Errorf("%s = %q, %q, %q, want %q, %q, %q", test.path, server, proxied, forwarded, test.server, test.proxied, test.forwarded)
		}
	}
}

// FuzzPaths checks that no path that reaches the handler has dot segments left
// or needs escaping.
func FuzzPaths(f *testing.F) {
	for _, path := range []string{"/a/../b", "/%2e%2e/", "/%5c..%5c%2541", "/%C3%28%25", "//.//", "*", ""} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		server := serverPath(path)
		for _, out := range []string{proxiedPath(server), forwardedPath(server, true)} {
			if _, err := url.PathUnescape(out); err != nil {
				t.Errorf("%q becomes %q, which cannot be unescaped", path, out)
			}
			segments := strings.Split(out, "/")
			if slices.Contains(segments, ".") || slices.Contains(segments, "..") {
				t.Errorf("%q becomes %q, which has dot segments", path, out)
			}
		}
	})
}

func TestParseQuery(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                      "",
		"?":                     "",
		"?a=1&b=2":              "?a=1&b=2",
		"?a=1&b=2&A=3":          "?A=1,3&b=2",
		"?a&&b=":                "?a=&b=",
		"?a=b=c":                "?a=b%3Dc",
		"?a=%zz":                "?a=%25zz",
		"?api-version=7.4&x=+y": "?api-version=7.4&x=%20y",
	} {
		if got := parseQuery(raw).encode(); got != want {
			t.Errorf("parseQuery(%q).encode() = %q, want %q", raw, got, want)
		}
	}
}
