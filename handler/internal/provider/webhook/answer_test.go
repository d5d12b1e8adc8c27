package webhook

// Answers of any form.

import (
	"crypto/x509"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// Whatever comes, what is taken of it is a state of the contract, complete and
// within bounds.
func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{"status":"pending"}`, `{"status":"pending","externalId":"4711","detail":"Ada must approve."}`,
		`{"status":"failed","error":{"type":"urn:x","title":"Denied","detail":"no"}}`,
		`{"status":"issued","chain":["` + pemSeed + `"]}`,
		`{"status":"issued","chain":["` + pemSeed + `","` + pemSeed + `"],"externalId":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseAnswer(body)
		if err != nil {
			if len(err.Error()) > 4*maxText {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		switch a.Status {
		case statusPending:
			if text := a.text(); len(text) > 3*maxText || !utf8.ValidString(text) {
				t.Fatalf("%d bytes of detail", len(text))
			}
		case statusFailed:
			if text := a.Error.text(); text == "" || len(text) > 3*maxText || !utf8.ValidString(text) {
				t.Fatalf("%d bytes of reason", len(text))
			}
		case statusIssued:
			if len(a.der) == 0 || len(a.der) > maxChain || len(a.der) != len(a.Chain) {
				t.Fatalf("%d certificates of %d", len(a.der), len(a.Chain))
			}
			for _, der := range a.der {
				if _, err := x509.ParseCertificate(der); err != nil {
					t.Fatal(err)
				}
			}
		default:
			t.Fatalf("status %q", a.Status)
		}
	})
}

func FuzzParseProblem(f *testing.F) {
	for _, seed := range []string{``, `[]`, `{"title":1}`, `{"title":"Denied","detail":"no"}`, `{"type":"urn:x"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if text := parseProblem(body).text(); text == "" || len(text) > 3*maxText || !utf8.ValidString(text) {
			t.Fatalf("%q", text)
		}
	})
}

// pemSeed is a certificate in PEM, within a JSON string.
var pemSeed = func() string {
	b, err := json.Marshal(`-----BEGIN CERTIFICATE-----
MIIBbDCCAROgAwIBAgIUbDV1EO8Xp7qUDkdchts9UXy63rMwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAeFw0yNjExMjUxOTQ1MDFaFw0zNjExMjIxOTQ1MDFaMAwx
CjAIBgNVBAMMAWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARXQKob79aZim3w
n3pF42oXnQr3i6I6tiQ0fORcp9EQvDI3OdTYuprJP88WDW96i0/1WPYGkM1yBikE
pjarGtOno1MwUTAdBgNVHQ4EFgQUfQBO2CpHW1tT7bttW1jXlj/j0tgwHwYDVR0j
BBgwFoAUfQBO2CpHW1tT7bttW1jXlj/j0tgwDwYDVR0TAQH/BAUwAwEB/zAKBggq
hkjOPQQDAgNHADBEAiBoJd3zYYNwXY6dWD5SMuhzcl6tmIKa/xI9JEjvwz/DVgIg
LMi3yFISt7ATG40vWP3UR6L92Z3VtGN32IZXr2Kwab8=
-----END CERTIFICATE-----
`)
	if err != nil {
		panic(err)
	}
	return string(b[1 : len(b)-1])
}()
