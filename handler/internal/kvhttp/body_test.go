package kvhttp

// Bodies of requests: limits, and what JSON is read.

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body string
		want string // subject that was read
		err  string // or part of the message of the refusal
	}{
		{body: `{"policy":{"x509_props":{"subject":"CN=a"}}}`, want: "CN=a"},
		{body: " \n{\"policy\":{\"x509_props\":{\"subject\":\"CN=a\"}}}\r\n", want: "CN=a"},
		{body: `{"unknown":[1,{"x":null}],"policy":{"x509_props":{"subject":"CN=a","more":1}}}`, want: "CN=a"},
		{body: `{"policy":{"x509_props":{"subject":"CN=a"}},"policy":{"x509_props":{"subject":"CN=b"}}}`, want: "CN=b"},
		{body: `{"policy":{"key_props":null,"lifetime_actions":null,"x509_props":{"subject":"CN=a","sans":null,"ekus":null}},"attributes":null,"tags":null}`, want: "CN=a"},
		{body: `{"policy":{"x509_props":{"subject":"CN=a",},},}`, want: "CN=a"},
		{body: `{"policy":{"x509_props":{"ekus":["1" , ] , "subject":",}\",]"}}}`, want: `,}",]`},
		{body: `{}`},
		{body: ``, err: "body is missing"},
		{body: " \n", err: "body is missing"},
		{body: `null`, err: "must be a JSON object"},
		{body: `[]`, err: "must be a JSON object"},
		{body: `"x"`, err: "must be a JSON object"},
		{body: `{`, err: "not valid JSON"},
		{body: `{,}`, err: "not valid JSON"},
		{body: `{"a":1,,}`, err: "not valid JSON"},
		{body: `{"a":,}`, err: "not valid JSON"},
		{body: `{"a":[,]}`, err: "not valid JSON"},
		{body: `{"a":"\`, err: "not valid JSON"},
		{body: `{} {}`, err: "not valid JSON"},
		{body: `{}x`, err: "not valid JSON"},
		{body: "{\"a\":\"\xff\"}", err: "not UTF-8"},
		{body: `{"policy":{"x509_props":{"validity_months":"12"}}}`, err: "Property policy.x509_props.validity_months has invalid value: a JSON string"},
		{body: `{"policy":{"x509_props":{"validity_months":1.5}}}`, err: "Property policy.x509_props.validity_months has invalid value: a JSON number 1.5"},
		{body: `{"policy":[]}`, err: "Property policy has invalid value: a JSON array"},
		{body: `{"tags":{"a":1}}`, err: "Property tags"},
		{body: `{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, err: "exceeded max depth"},
	} {
		var in createParams
		err := decode(strings.NewReader(tt.body), &in)
		shown := tt.body[:min(len(tt.body), 100)]
		if tt.err != "" {
			if f, ok := err.(*failure); !ok || f.status != http.StatusBadRequest || f.code != "BadParameter" || !strings.Contains(f.message, tt.err) {
				t.Errorf("decode(%q): got %v, want a BadParameter with %q", shown, err, tt.err)
			}
			continue
		}
		got := ""
		if in.Policy != nil {
			got = *in.Policy.X509.Subject
		}
		if err != nil || got != tt.want {
			t.Errorf("decode(%q): got subject %q, %v, want %q", shown, got, err, tt.want)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	body := func(n int) string {
		head := policyOf("Self")
		return head + strings.Repeat(" ", n-len(head))
	}
	s.must("POST", "/certificates/fits/create"+v74, body(256<<10))
	s.must("POST", "/certificates/large/import"+v74, importOf(newPair(t, s.clock.Now()).pem(t)+strings.Repeat("\n", 900<<10)))
	a := s.do("POST", "/certificates/over/import"+v74, importOf("", `"pwd":"`+strings.Repeat("a", 2<<20)+`"`))
	if want := `{"error":{"code":"RequestEntityTooLarge","message":"The request body is larger than 2097152 bytes."}}`; a.status != http.StatusRequestEntityTooLarge || a.body != want {
		t.Errorf("import: got %d %s, want 413 %s", a.status, a.body, want)
	}
	for _, edit := range []func(*http.Request){
		func(*http.Request) {},
		func(r *http.Request) { r.ContentLength = -1 }, // chunked
	} {
		a := s.do("POST", "/certificates/over/create"+v74, body(256<<10+1), edit)
		if want := `{"error":{"code":"RequestEntityTooLarge","message":"The request body is larger than 262144 bytes."}}`; a.status != http.StatusRequestEntityTooLarge || a.body != want {
			t.Errorf("got %d %s, want 413 %s", a.status, a.body, want)
		}
	}
}

// What is read is what encoding/json reads, but for trailing commas.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"policy":{"issuer":{"name":"mydigicert","cty":"OV-SSL",}}}`, `{"a":[1,]}`, `{,}`, `{"a":"\\",}`, `{"a":"\"`, `[1,,]`, `{"tags":{"a":"b"}}`, `null`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want createParams
		err := decode(bytes.NewReader(data), &got)
		if _, ok := err.(*failure); err != nil && !ok {
			t.Fatalf("decode(%q): got %v, want a refusal", data, err)
		}
		if _, err := got.params(""); err == nil && got.Policy != nil {
			got.Policy.params()
		}
		if json.Unmarshal(data, &want) != nil || !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) || err != nil && strings.Contains(err.Error(), "UTF-8") {
			return
		}
		gotJSON, _ := json.Marshal(got)
		wantJSON, _ := json.Marshal(want)
		if err != nil || !bytes.Equal(gotJSON, wantJSON) {
			t.Errorf("decode(%q): got %s, %v, want %s", data, gotJSON, err, wantJSON)
		}
	})
}
