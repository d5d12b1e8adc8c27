package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// maxSkew is how old, or how far ahead, a signature may be.
const maxSkew = 5 * time.Minute

// signatureInput is the one form in which Certwright signs, see docs/webhook.md.
var signatureInput = regexp.MustCompile(`^certwright=(\("@method" "@authority" "@path" "content-digest"\);created=([0-9]{1,12});keyid="([ !#-\[\]-~]+)";alg="hmac-sha256")$`)

// verify checks who sent a request: an HTTP Message Signature (RFC 9421) over its
// method, host, path and Content-Digest (RFC 9530).
func verify(r *http.Request, body []byte, keyID string, secret []byte, now time.Time) error {
	input := signatureInput.FindStringSubmatch(r.Header.Get("Signature-Input"))
	if input == nil || input[3] != keyID {
		return errors.New("no signature of a known key")
	}
	created, err := strconv.ParseInt(input[2], 10, 64)
	if age := now.Sub(time.Unix(created, 0)); err != nil || age.Abs() > maxSkew {
		return errors.New("the signature is too old, or the clocks differ")
	}
	sum := sha256.Sum256(body)
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	if r.Header.Get("Content-Digest") != digest {
		return errors.New("Content-Digest does not match the body")
	}
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "\"@method\": %s\n\"@authority\": %s\n\"@path\": %s\n\"content-digest\": %s\n\"@signature-params\": %s",
		r.Method, r.Host, r.URL.EscapedPath(), digest, input[1])
	want := "certwright=:" + base64.StdEncoding.EncodeToString(mac.Sum(nil)) + ":"
	if !hmac.Equal([]byte(r.Header.Get("Signature")), []byte(want)) {
		return errors.New("the signature is wrong")
	}
	return nil
}
