package functionshost_test

// Function keys, the homepage, and what is not found.

import (
	"slices"
	"strings"
	"testing"

	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	level := func(level string) string {
		return strings.NewReplacer(`"anonymous"`, `"`+level+`"`, "echo/{*rest}", level).Replace(echoFunction)
	}
	root := stage(t, map[string]string{
		"Anonymous/function.json": level("anonymous"), "Function/function.json": level("function"), "Admin/function.json": strings.Replace(level("admin"), `"route":"admin"`, `"route":"topmost"`, 1),
	})
	host := start(t, functionshost.Config{Root: root, Keys: &functionshost.Keys{
		Master: "master", Host: []string{"host"}, Functions: map[string][]string{"Function": {"function"}, "Other": {"other"}},
	}}).ready(t)
	for path, opens := range map[string][]string{
		"/anonymous":         {"", "x", "other", "function", "host", "master"},
		"/function":          {"function", "host", "master"},
		"/topmost":           {"master"},
		"/admin/host/ping":   {"", "x", "other", "function", "host", "master"},
		"/admin/host/status": {"master"},
		"/admin/functions":   {"master"},
	} {
		for _, key := range []string{"", "x", "other", "function", "host", "master"} {
			want := 401
			if slices.Contains(opens, key) {
				want = 200
			}
			res, text := host.do(t, "GET", path, nil, "X-Functions-Key: "+key)
			if res.StatusCode != want {
				t.Errorf("GET %s with key %q in the header = %d, want %d", path, key, res.StatusCode, want)
			}
			if want == 401 && (text != "" || res.Header.Get("Www-Authenticate") != "") {
				t.Errorf("GET %s = %q, %v, want nothing", path, text, res.Header)
			}
			if res, _ := host.do(t, "GET", path+"?code="+key, nil); res.StatusCode != want {
				t.Errorf("GET %s with key %q in the query = %d, want %d", path, key, res.StatusCode, want)
			}
		}
	}
	for _, key := range []string{"master", "function"} {
		if strings.Contains(host.log.all(), "="+key) {
			t.Errorf("key %q was logged", key)
		}
	}
}

func TestHomepageAndNotFound(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{}).ready(t)
	if res, text := host.do(t, "GET", "/", nil); res.StatusCode != 200 || !strings.Contains(text, "<!DOCTYPE html>") {
		t.Errorf("GET / = %s %q", res.Status, text)
	}
	for _, target := range []string{"/nothing", "//", "//echo", "/echo/..", "/echo/%2e%2e/x", "/Tick"} {
		res, text := host.do(t, "POST", target, nil)
		if target == "/echo/.." {
			if res.StatusCode != 200 { // the homepage
				t.Errorf("POST %s = %s", target, res.Status)
			}
			continue
		}
		if res.StatusCode != 404 || text != "" {
			t.Errorf("POST %s = %s %q, want an empty 404", target, res.Status, text)
		}
	}
	if answer := host.raw(t, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false); !strings.HasPrefix(answer, "HTTP/1.1 404 ") {
		t.Errorf("OPTIONS * = %q", answer)
	}
	if got := host.raw(t, "GET http://other.example/echo/x?q HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n", false); !strings.Contains(got, `"RequestURI":"/echo/x?q"`) {
		t.Errorf("a request line with a whole URL = %q", got)
	}
	if res, _ := host.do(t, "GET", "/echo", nil, "X-Large: "+strings.Repeat("x", 40<<10)); res.StatusCode != 431 {
		t.Errorf("a header of 40 KiB = %s", res.Status)
	}
	quiet := start(t, functionshost.Config{}, "AzureWebJobsDisableHomepage=true")
	if res, text := quiet.do(t, "GET", "/", nil); res.StatusCode != 204 || text != "" {
		t.Errorf("GET / without homepage = %s %q", res.Status, text)
	}
}
