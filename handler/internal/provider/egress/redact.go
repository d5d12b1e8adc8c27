package egress

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// What a server says goes into logs and to people who may not know what it was
// asked with, and some servers, or the gateways before them, repeat that. So no
// secret of a request is left in its answer, whatever the answer's status is.

// redacted takes the place of a secret.
const redacted = "[redacted]"

// minSecret is the length of the shortest secret that is looked for, in bytes: a
// shorter one would be found in what is not a secret.
const minSecret = 6

// secretHeaders carry credentials and nothing else.
var secretHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Vault-Token", "X-Dc-Devkey"}

type secretsKey struct{}

// WithSecrets is ctx for requests that carry secrets in their body or URL. Those in
// the fields of secretHeaders are known without.
func WithSecrets(ctx context.Context, secrets ...string) context.Context {
	known, _ := ctx.Value(secretsKey{}).([]string)
	return context.WithValue(ctx, secretsKey{}, slices.Concat(known, secrets))
}

// URLSecrets are the parts of a configured URL that may be secrets: its password and
// the values in its query, by which some servers know who calls.
func URLSecrets(u *url.URL) []string {
	var secrets []string
	if password, ok := u.User.Password(); ok {
		secrets = append(secrets, password)
	}
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	return secrets
}

// secretsOf are the secrets that a request carries, in every form in which a server
// is likely to repeat them, the longest first.
func secretsOf(req *http.Request) [][]byte {
	secrets, _ := req.Context().Value(secretsKey{}).([]string)
	secrets = slices.Clone(secrets)
	for _, name := range secretHeaders {
		for _, value := range req.Header.Values(name) {
			secrets = append(secrets, value)
			if _, credentials, ok := strings.Cut(value, " "); ok { // behind a scheme
				secrets = append(secrets, credentials)
			}
		}
	}
	if user, password, ok := req.BasicAuth(); ok {
		secrets = append(secrets, user+":"+password, password)
	}
	var forms [][]byte
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		for _, form := range formsOf(secret) {
			if !slices.ContainsFunc(forms, func(f []byte) bool { return string(f) == form }) {
				forms = append(forms, []byte(form))
			}
		}
	}
	slices.SortStableFunc(forms, func(a, b []byte) int { return cmp.Compare(len(b), len(a)) })
	return forms
}

func formsOf(secret string) []string {
	inJSON := func(escapeHTML bool) string {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(escapeHTML)
		if e.Encode(secret) != nil {
			return secret
		}
		quoted := strings.TrimSpace(b.String())
		return quoted[1 : len(quoted)-1]
	}
	plain, escaped := inJSON(false), inJSON(true)
	return []string{
		secret, plain, escaped, strings.ReplaceAll(plain, "/", `\/`), strings.ReplaceAll(escaped, "/", `\/`), html.EscapeString(secret),
		url.QueryEscape(secret), url.PathEscape(secret),
		base64.RawStdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
}

// redact takes the secrets of its request out of an answer.
func redact(resp *http.Response, secrets [][]byte) {
	if len(secrets) == 0 {
		return
	}
	resp.Status = string(without([]byte(resp.Status), secrets))
	for _, values := range resp.Header {
		for i, value := range values {
			values[i] = string(without([]byte(value), secrets))
		}
	}
	resp.Header.Del("Content-Length")
	resp.ContentLength = -1
	resp.Body = &redactedBody{ReadCloser: resp.Body, secrets: secrets}
}

func without(text []byte, secrets [][]byte) []byte {
	for _, secret := range secrets {
		text = bytes.ReplaceAll(text, secret, []byte(redacted))
	}
	return text
}

// redactedBody reads a body without secrets.
type redactedBody struct {
	io.ReadCloser
	secrets [][]byte // the longest first
	ready   []byte   // read, and without secrets
	tail    []byte   // read, and maybe the beginning of a secret
	err     error    // of the last read
}

// Read implements io.Reader.
func (b *redactedBody) Read(p []byte) (int, error) {
	for len(b.ready) == 0 && b.err == nil {
		var chunk [4 << 10]byte
		var n int
		n, b.err = b.ReadCloser.Read(chunk[:])
		b.tail = without(append(b.tail, chunk[:n]...), b.secrets)
		keep := min(len(b.tail), len(b.secrets[0])-1)
		if b.err != nil {
			keep = 0
		}
		b.ready = bytes.Clone(b.tail[:len(b.tail)-keep])
		b.tail = bytes.Clone(b.tail[len(b.tail)-keep:])
	}
	n := copy(p, b.ready)
	b.ready = b.ready[n:]
	if len(b.ready) > 0 || n > 0 {
		return n, nil
	}
	return 0, b.err
}
