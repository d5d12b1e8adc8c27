package webhook

import (
	"net/http"
	"testing"
)

// The example of docs/webhook.md, computed by OpenSSL.
func TestSign(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"ca.example.com", "CA.example.com:443"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/certwright/v1/requests/0123456789abcdef0123456789abcdef", nil)
		if err != nil {
			t.Fatal(err)
		}
		sign(req, nil, "certwright", []byte("only-an-example"), 1772366400)
		for name, want := range map[string]string{
			"Content-Digest":  "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
			"Signature-Input": `certwright=("@method" "@authority" "@path" "content-digest");created=1772366400;keyid="certwright";alg="hmac-sha256"`,
			"Signature":       "certwright=:r0id05KLmz4Jir9BAJicWRjb4lewcqHfQHht5StmuI0=:",
		} {
			if got := req.Header.Get(name); got != want {
				t.Errorf("%s: %s: %s, want %s", host, name, got, want)
			}
		}
	}
}
