package stepca

// Answers of any form.

import (
	"crypto/x509"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever comes, what is taken of it are certificates, within bounds.
func FuzzParseSigned(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		chain, err := parseSigned(body)
		if err != nil {
			return
		}
		if len(chain) == 0 || len(chain) > maxChain {
			t.Fatalf("%d certificates", len(chain))
		}
		for _, der := range chain {
			if _, err := x509.ParseCertificate(der); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Whatever the server says is one line of text.
func FuzzParseError(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		text, err := parseError(body)
		if (text == "") != (err != nil) {
			t.Fatalf("%q, %v", text, err)
		}
		if line := clean(text); len(line) > maxText || !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n\t") {
			t.Fatalf("%q", line)
		}
	})
}
