package httpsig_test

// Signatures against those that OpenSSL computed.

import (
	"net/http"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/httpsig"
)

// The example of docs/webhook.md, computed by OpenSSL, and one of the bare host.
func TestSign(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, signature string }{
		{"https://ca.example.com/certwright/v1/requests/0123456789abcdef0123456789abcdef", "r0id05KLmz4Jir9BAJicWRjb4lewcqHfQHht5StmuI0="},
		{"https://CA.example.com:443/certwright/v1/requests/0123456789abcdef0123456789abcdef", "r0id05KLmz4Jir9BAJicWRjb4lewcqHfQHht5StmuI0="},
		{"https://ca.example.com", "bUwrTjMIoksEiiwd1PgAb6HssRB1TrWfd9JfRZNpjlA="},
		{"https://ca.example.com/?a=b", "bUwrTjMIoksEiiwd1PgAb6HssRB1TrWfd9JfRZNpjlA="},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		httpsig.Sign(req, nil, "certwright", []byte("only-an-example"), time.Unix(1772366400, 0))
		for name, want := range map[string]string{
			"Content-Digest":  "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
			"Signature-Input": `certwright=("@method" "@authority" "@path" "content-digest");created=1772366400;keyid="certwright";alg="hmac-sha256"`,
			"Signature":       "certwright=:" + test.signature + ":",
		} {
			if got := req.Header.Get(name); got != want {
				t.Errorf("%s: %s: %s, want %s", test.url, name, got, want)
			}
		}
	}
}
