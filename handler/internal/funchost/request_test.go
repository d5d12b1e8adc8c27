package funchost_test

// What the host says about a request, and what of it may be logged.

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/funchost"
)

// TestClientHost sends requests as forwarding and proxying hosts do; OWN stands
// for the handler's own address.
func TestClientHost(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q", funchost.ClientHost(r))
	}))
	defer server.Close()
	own := server.Listener.Addr().String()
	for _, tt := range []struct {
		why, host string
		forwarded []string
		want      string
	}{
		{"forwarded", "v1.example.com", nil, "v1.example.com"},
		{"forwarded, field from the client", "v1.example.com", []string{"evil.example.com"}, "v1.example.com"},
		{"forwarded, another loopback port", "127.0.0.1:1", []string{"evil.example.com"}, "127.0.0.1:1"},
		{"forwarded, name of this machine", "localhost:8443", []string{"evil.example.com"}, "localhost:8443"},
		{"proxied", "OWN", []string{"v1.example.com"}, "v1.example.com"},
		{"proxied, with port", "OWN", []string{"v1.example.com:8443"}, "v1.example.com:8443"},
		{"proxied, capitals", "OWN", []string{"V1.Example.COM"}, "v1.example.com"},
		{"proxied, IPv6", "OWN", []string{"[::1]:8443"}, "[::1]:8443"},
		{"proxied, list", "OWN", []string{"evil.example.com, v1.example.com"}, "v1.example.com"},
		{"proxied, two fields", "OWN", []string{"evil.example.com", "v1.example.com"}, "v1.example.com"},
		{"direct", "OWN", nil, "OWN"},
		{"proxied, path", "OWN", []string{"v1.example.com/x"}, ""},
		{"proxied, user", "OWN", []string{"u@v1.example.com"}, ""},
		{"proxied, space", "OWN", []string{"v1 example"}, ""},
		{"proxied, port not a number", "OWN", []string{"v1:x"}, ""},
		{"proxied, long", "OWN", []string{strings.Repeat("a", 254)}, ""},
		{"proxied, not ASCII", "OWN", []string{"v1.exämple.com"}, ""},
		{"forwarded, odd", "a_b", nil, ""},
	} {
		conn, err := net.Dial("tcp", own)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n", strings.ReplaceAll(tt.host, "OWN", own))
		for _, line := range tt.forwarded {
			fmt.Fprintf(conn, "X-Forwarded-Host: %s\r\n", line)
		}
		fmt.Fprint(conn, "\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if _, err := fmt.Fscanf(resp.Body, "%q", &got); err != nil {
			t.Fatalf("%s: status %d, %v", tt.why, resp.StatusCode, err)
		}
		if want := strings.ReplaceAll(tt.want, "OWN", own); got != want {
			t.Errorf("%s: ClientHost = %q, want %q", tt.why, got, want)
		}
	}
}

func TestInvocationID(t *testing.T) {
	t.Parallel()
	const id, other = "24ad4c06-24ad-4e5b-8294-3da9714877e9", "00000000-0000-0000-0000-000000000000"
	for _, tt := range []struct {
		why   string
		lines []string
		want  string
	}{
		{"none", nil, ""},
		{"one", []string{id}, id},
		{"after the client's", []string{other + ", " + id}, id},
		{"after the client's, no space", []string{other + "," + id}, id},
		{"after the client's, own line", []string{other, id}, id},
		{"empty", []string{""}, ""},
		{"nothing after the client's", []string{other + ","}, ""},
		{"no GUID", []string{"1"}, ""},
		{"line break", []string{id + "\nlevel=ERROR"}, ""},
		{"GUID and more", []string{id + "0"}, ""},
	} {
		r := &http.Request{Header: http.Header{"X-Azure-Functions-Invocationid": tt.lines}}
		if got := funchost.InvocationID(r); got != tt.want {
			t.Errorf("%s: InvocationID = %q, want %q", tt.why, got, tt.want)
		}
	}
}

func TestLogURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ target, want string }{
		{"/certificates/web/pending?api-version=7.4&request_id=0123abcd", "/certificates/web/pending?api-version=7.4&request_id=0123abcd"},
		{"/certificates?maxresults=25&includePending=true&api%2Dversion=7.4", "/certificates?maxresults=25&includePending=true&api%2Dversion=7.4"},
		{"/certificates/", "/certificates/"},
		{"/a%2Fb//c?", "/a%2Fb//c"},
		{"/x?code=s3cret", "/x?code=REDACTED"},
		{"/x?CODE=s3cret&api-version=7.4", "/x?CODE=REDACTED&api-version=7.4"},
		{"/x?%63ode=s3cret", "/x?%63ode=REDACTED"},
		{"/x?%zz=s3cret", "/x?%zz=REDACTED"},
		{"/x?x-functions-key=s3cret&$skiptoken=s3cret&sig=s3cret", "/x?x-functions-key=REDACTED&$skiptoken=REDACTED&sig=REDACTED"},
		{"/x?s3cret", "/x?REDACTED"},
		{"/x?=s3cret", "/x?=REDACTED"},
		{"/x?a=b=s3cret", "/x?a=REDACTED"},
		{"/x?api-version=7.4;code=s3cret", "/x?api-version=REDACTED"},
		{"/x?api-version=" + strings.Repeat("s3cret", 11), "/x?api-version=REDACTED"},
		{"/x?&api-version", "/x?&api-version"},
		{"http://user:s3cret@host/x?a=1", "/x?a=REDACTED"},
		{"/" + strings.Repeat("x", 3000), "/" + strings.Repeat("x", 2047) + "..."},
	} {
		r, err := request("GET", tt.target, "")
		if err != nil {
			t.Errorf("%s: %v", tt.target, err)
			continue
		}
		if got := funchost.LogURL(r); got != tt.want {
			t.Errorf("LogURL(%s):\n got %s\nwant %s", tt.target, got, tt.want)
		}
	}
}

func FuzzLogURL(f *testing.F) {
	f.Add("/certificates/web?api-version=7.4&", "code")
	f.Add("/x?a=b&", "%63ode")
	f.Add("http://h/x?;", "x-functions-key")
	f.Fuzz(func(t *testing.T, before, name string) {
		const secret = "s3cret-s3cret"
		if strings.ContainsAny(before+name, " \r\n#") || strings.Contains(before+name, secret) || !strings.Contains(before, "?") {
			t.Skip()
		}
		last, err := url.QueryUnescape(name[strings.LastIndexByte(name, '&')+1:])
		if err != nil {
			last = ""
		}
		switch strings.ToLower(last) {
		case "api-version", "maxresults", "includepending", "request_id":
			t.Skip() // not where a key is
		}
		r, err := request("GET", before+"&"+name+"="+secret, "")
		if err != nil {
			t.Skip()
		}
		if got := funchost.LogURL(r); strings.Contains(got, secret) {
			t.Errorf("LogURL shows the secret: %s", got)
		}
	})
}
