package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/certwright/certwright/handler/internal/vault"
)

// checkCredentials says what is wrong with the credentials of an issuer object,
// nothing when they can be used.
func (i *Issuer) checkCredentials(o vault.IssuerObject) string {
	switch {
	case i.cfg.Token != nil:
		return ""
	case i.cfg.Authentication == Signature && !isString(o.AccountID):
		return fmt.Sprintf("The issuer %s needs credentials.account_id, the name of the key that signs requests to %s.", o.Name, i.base.Host)
	case o.Password == "":
		return fmt.Sprintf("The issuer %s needs credentials.pwd, its key at %s.", o.Name, i.base.Host)
	case i.cfg.Authentication == Bearer && !isToken(o.Password):
		return fmt.Sprintf("The password (credentials.pwd) of the issuer %s is no bearer token: it has other characters than letters, digits and -._~+/=.", o.Name)
	}
	return ""
}

// authenticate adds the proof of who sends req, whose body is content.
func (i *Issuer) authenticate(req *http.Request, o vault.IssuerObject, content []byte) error {
	if wrong := i.checkCredentials(o); wrong != "" {
		return errors.New(wrong)
	}
	if i.cfg.Authentication == Signature {
		sign(req, content, o.AccountID, []byte(o.Password), i.cfg.Now().Unix())
		return nil
	}
	token := o.Password
	if i.cfg.Token != nil {
		var err error
		if token, err = i.cfg.Token(req.Context()); err != nil {
			return fmt.Errorf("getting a token for %s: %w", i.base.Host, err)
		}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// sign adds a signature that covers method, host, path and body: HTTP Message
// Signatures (RFC 9421) by hmac-sha256 over a Content-Digest (RFC 9530). The
// components and their order are always these, so a server needs no general
// verifier. created is in Unix seconds.
func sign(req *http.Request, content []byte, keyID string, key []byte, created int64) {
	sum := sha256.Sum256(content)
	digest := "sha-256=" + byteSequence(sum[:])
	parameters := fmt.Sprintf(`("@method" "@authority" "@path" "content-digest");created=%d;keyid=%s;alg="hmac-sha256"`,
		created, quoted(keyID))
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "\"@method\": %s\n", req.Method)
	fmt.Fprintf(mac, "\"@authority\": %s\n", strings.TrimSuffix(strings.ToLower(req.URL.Host), ":443"))
	fmt.Fprintf(mac, "\"@path\": %s\n", req.URL.EscapedPath())
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

// isString reports whether s can be a String of structured fields, and names
// something.
func isString(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// isToken reports whether s can be a bearer token. RFC 6750 section 2.1.
func isToken(s string) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="
	return s != "" && strings.Trim(s, alphabet) == ""
}
