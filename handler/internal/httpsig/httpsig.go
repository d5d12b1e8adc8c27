// Package httpsig signs the requests that Certwright sends to endpoints of our
// own contracts: CAs behind a webhook, and receivers of events.
package httpsig

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Sign adds a signature that covers method, host, path and body: HTTP Message
// Signatures (RFC 9421) by hmac-sha256 over a Content-Digest (RFC 9530). The
// components and their order are always these, so a server needs no general
// verifier. content is the body of req; created is cut to whole seconds.
func Sign(req *http.Request, content []byte, keyID string, key []byte, created time.Time) {
	sum := sha256.Sum256(content)
	digest := "sha-256=" + byteSequence(sum[:])
	parameters := fmt.Sprintf(`("@method" "@authority" "@path" "content-digest");created=%d;keyid=%s;alg="hmac-sha256"`,
		created.Unix(), quoted(keyID))
	path := req.URL.EscapedPath()
	if path == "" {
		path = "/" // RFC 9421 section 2.2.6
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "\"@method\": %s\n", req.Method)
	fmt.Fprintf(mac, "\"@authority\": %s\n", strings.TrimSuffix(strings.ToLower(req.URL.Host), ":443"))
	fmt.Fprintf(mac, "\"@path\": %s\n", path)
	fmt.Fprintf(mac, "\"content-digest\": %s\n", digest)
	fmt.Fprintf(mac, "\"@signature-params\": %s", parameters)
	req.Header.Set("Content-Digest", digest)
	req.Header.Set("Signature-Input", "certwright="+parameters)
	req.Header.Set("Signature", "certwright="+byteSequence(mac.Sum(nil)))
}

// byteSequence is the Byte Sequence of structured fields. RFC 9651 section 3.3.5.
func byteSequence(b []byte) string { return ":" + base64.StdEncoding.EncodeToString(b) + ":" }

// quoted is the String of structured fields. RFC 9651 section 3.3.3.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// IsKeyID reports whether s can be the keyid of a signature, a String of
// structured fields, and names something.
func IsKeyID(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
