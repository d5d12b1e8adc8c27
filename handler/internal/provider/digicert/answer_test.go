package digicert

// Answers and states of any form.

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"
)

// Whatever comes, an order that is read has an id and a status, and what is told
// of it is bounded.
func FuzzParseOrder(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := parseOrder(body)
		if err != nil {
			return
		}
		if o.ID <= 0 || o.status() == "" {
			t.Fatalf("%+v", o)
		}
		for _, kind := range []string{typeNew, typeRevoke} {
			if id := o.request(kind, statusPending); id != 0 && o.request(kind, statusRejected) != 0 {
				t.Fatalf("the last %s is pending and rejected", kind)
			}
		}
		if rank := o.rank(); rank == 0 && o.Status != statusIssued {
			t.Fatalf("%s is as far as issued", o.Status)
		}
		if der := csrOf(o.Certificate.CSR); len(der) > len(o.Certificate.CSR) {
			t.Fatalf("a CSR of %d bytes in %d", len(der), len(o.Certificate.CSR))
		}
	})
}

// A list that is read has ids only; an order with a time that cannot be read is not
// taken for an old one.
func FuzzParseList(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := parseList(body)
		if err != nil {
			if list != nil {
				t.Fatal("a list and an error")
			}
			return
		}
		for _, row := range list {
			if _, err := time.Parse(time.RFC3339, row.Created); row.ID <= 0 || err != nil && row.before(time.Unix(1<<40, 0)) {
				t.Fatalf("%+v", row)
			}
		}
	})
}

// Errors that are read say something, and no code has the old separator.
func FuzzParseErrors(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, e := range parseErrors(body) {
			if e == (apiError{}) || bytes.ContainsRune([]byte(e.Code), ':') {
				t.Fatalf("%+v", e)
			}
		}
		e := &answerError{host: "host", status: 400, errors: parseErrors(body)}
		if text := e.Error(); len(text) > maxText || !utf8.ValidString(text) || text == "" {
			t.Fatalf("%d bytes: %q", len(text), text)
		}
		if usedCSR(e) && !refused(e) {
			t.Fatal("no refusal, and because of its CSR")
		}
	})
}

// An id that is read from an answer is one.
func FuzzParsePlaced(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		if id, err := parsePlaced(body); (id > 0) != (err == nil) {
			t.Fatalf("%d, %v", id, err)
		}
		if id := parsePendingRequest(body); id < 0 {
			t.Fatalf("request %d", id)
		}
	})
}

// A chain that is read begins with the certificate of the key, and each of its
// certificates is signed by the next.
func FuzzParseChain(f *testing.F) {
	text, err := os.ReadFile(filepath.Join("testdata", "chain.pem"))
	if err != nil {
		f.Fatal(err)
	}
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		f.Fatal(err)
	}
	if chain, err := parseChain(text, leaf.RawSubjectPublicKeyInfo); err != nil || len(chain) != 3 {
		f.Fatalf("%d certificates, %v", len(chain), err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		chain, err := parseChain(body, leaf.RawSubjectPublicKeyInfo)
		if err != nil {
			return
		}
		if len(chain) < 2 || len(chain) > maxChain {
			t.Fatalf("%d certificates", len(chain))
		}
		var last *x509.Certificate
		for n, der := range chain {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 && !bytes.Equal(c.RawSubjectPublicKeyInfo, leaf.RawSubjectPublicKeyInfo) {
				t.Fatal("the first is another's")
			}
			if n > 0 && last.CheckSignatureFrom(c) != nil {
				t.Fatalf("certificate %d is not signed by the next", n)
			}
			last = c
		}
	})
}

// A state that is read is of this version and is read again as it is.
func FuzzDecodeState(f *testing.F) {
	f.Fuzz(func(t *testing.T, saved []byte) {
		s, err := decodeState(saved)
		if err != nil {
			return
		}
		again, err := decodeState(s.encode())
		if err != nil || s.Version != stateVersion || !bytes.Equal(again.encode(), s.encode()) {
			t.Fatalf("%+v, then %+v, %v", s, again, err)
		}
	})
}
