package egress_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// TestEcho: a server that repeats the whole request, in any status, in the forms in
// which servers do, says none of its secrets.
func TestEcho(t *testing.T) {
	t.Parallel()
	const (
		token = `to/ke"n+<1&2>=in a header`
		body  = "pass/word+of=the\\body"
		inURL = "code of the URL"
	)
	for _, status := range []int{200, 201, 302, 400, 401, 403, 500, 503} {
		client, server := serve(t, egress.Config{}, func(w http.ResponseWriter, r *http.Request) {
			dump, err := httputil.DumpRequest(r, true)
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("X-Echo", r.Header.Get("Authorization"))
			w.Header().Set("Location", "https://elsewhere.example/?token="+url.QueryEscape(token))
			w.WriteHeader(status)
			if status == 304 {
				return
			}
			padding := strings.Repeat(".", 4090)
			w.Write(dump)
			for _, secret := range []string{token, body, inURL, "basic:" + body} {
				quoted, err := json.Marshal(map[string]string{"detail": secret})
				if err != nil {
					t.Error(err)
				}
				fmt.Fprint(w, padding, secret, "\n", string(quoted), strings.ReplaceAll(string(quoted), "/", `\/`), html.EscapeString(secret),
					url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), "\n", secret[:len(secret)-1])
			}
			fmt.Fprint(w, "the end")
		})
		for _, authorize := range []func(*http.Request){
			func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
			func(r *http.Request) { r.Header.Set("X-Vault-Token", token) },
			func(r *http.Request) { r.Header.Set("X-DC-DEVKEY", token) },
			func(r *http.Request) { r.Header.Set("Cookie", token) },
			func(r *http.Request) { r.SetBasicAuth("basic", token) },
		} {
			u, err := url.Parse(server.URL + "/?code=" + url.QueryEscape(inURL))
			if err != nil {
				t.Fatal(err)
			}
			ctx := egress.WithSecrets(t.Context(), body)
			ctx = egress.WithSecrets(ctx, egress.URLSecrets(u)...)
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			authorize(req)
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprint(resp.Status, resp.Header, string(answer))
			for _, secret := range []string{token, body, inURL} {
				quoted, err := json.Marshal(secret)
				if err != nil {
					t.Fatal(err)
				}
				form := strings.Trim(string(quoted), `"`)
				for _, form := range []string{secret, form, strings.ReplaceAll(form, "/", `\/`), html.EscapeString(secret), url.QueryEscape(secret), url.PathEscape(secret),
					base64.StdEncoding.EncodeToString([]byte(secret)), strings.TrimRight(base64.StdEncoding.EncodeToString([]byte("basic:"+secret)), "=")} {
					if strings.Contains(text, form) {
						t.Errorf("%d: the answer has %q", status, form)
					}
				}
			}
			if !strings.HasSuffix(string(answer), "the end") || !strings.Contains(text, "[redacted]") || resp.StatusCode != status {
				t.Errorf("%d: status %d, %d bytes, ending %.20q", status, resp.StatusCode, len(answer), answer[max(0, len(answer)-20):])
			}
		}
	}
}

// TestNothingToRedact: an answer to a request without secrets is passed on as it
// is, and so are texts that are too short to be told from others.
func TestNothingToRedact(t *testing.T) {
	t.Parallel()
	client, server := serve(t, egress.Config{}, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	req, err := http.NewRequestWithContext(egress.WithSecrets(t.Context(), "", "an"), http.MethodPost, server.URL, strings.NewReader("an answer"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "an answer" || resp.ContentLength != 9 {
		t.Errorf("%q of %d, %v", b, resp.ContentLength, err)
	}
}
