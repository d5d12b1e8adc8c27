package vaultpki

// Answers of any form.

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"
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

// Whatever comes, a token is one that can be sent, with a time that is.
func FuzzParseLogin(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := parseLogin(body)
		if err != nil {
			return
		}
		if !isHeaderValue(l.token) || l.lease < time.Second || l.lease > maxLease {
			t.Fatalf("%q for %s", l.token, l.lease)
		}
	})
}

// Whatever the server says is one line of text.
func FuzzParseErrors(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		text, said := parseErrors(body)
		if text != "" && !said {
			t.Fatalf("%q, which is not said", text)
		}
		if line := clean(text); len(line) > maxText || !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n\t") {
			t.Fatalf("%q", line)
		}
	})
}
