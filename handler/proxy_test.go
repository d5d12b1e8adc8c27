// Proxies among the app settings.

package main

import (
	"log/slog"
	"strings"
	"testing"
)

func TestCallsThroughProxy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environment   map[string]string
		setting, host string
	}{
		"nothing":            {nil, "", ""},
		"https only":         {map[string]string{"HTTPS_PROXY": "http://p:1", "https_proxy": "http://p:1"}, "", ""},
		"http":               {map[string]string{"HTTP_PROXY": "http://p:1"}, "HTTP_PROXY", "p:1"},
		"http in lower case": {map[string]string{"http_proxy": "p:1"}, "http_proxy", "p:1"},
		"all":                {map[string]string{"ALL_PROXY": "http://user:secret@p:1"}, "ALL_PROXY", "p:1"},
		"all in lower case":  {map[string]string{"all_proxy": "http://p"}, "all_proxy", "p"},
		"no URL":             {map[string]string{"HTTP_PROXY": "http://user:se%cret@"}, "HTTP_PROXY", ""},
		"mended":             {map[string]string{"HTTP_PROXY": "http://p:1", "NO_PROXY": "localhost, 127.0.0.1"}, "", ""},
		"mended below":       {map[string]string{"http_proxy": "http://p:1", "no_proxy": "127.0.0.1"}, "", ""},
		"another exception":  {map[string]string{"http_proxy": "http://p:1", "NO_PROXY": "localhost,127.0.0.10,::1"}, "http_proxy", "p:1"},
	} {
		setting, host, found := callsThroughProxy(func(name string) string { return test.environment[name] })
		if setting != test.setting || host != test.host || found != (test.setting != "") {
			t.Errorf("%s: %q at %q, %v, want %q at %q", name, setting, host, found, test.setting, test.host)
		}
	}
}

// TestWarningOfAProxy: a proxy between the host and this process is warned of at
// start, without what may be secret of it.
func TestWarningOfAProxy(t *testing.T) {
	t.Parallel()
	for value, warns := range map[string]bool{"http://user:s3cret@proxy.example:3128": true, "": false} {
		var logged strings.Builder
		warnOfProxy(func(name string) string {
			if name == "ALL_PROXY" {
				return value
			}
			return ""
		}, slog.New(slog.NewTextHandler(&logged, nil)))
		got := logged.String()
		if said := strings.Contains(got, "level=WARN") && strings.Contains(got, "NO_PROXY=127.0.0.1") && strings.Contains(got, "proxy=proxy.example:3128"); said != warns || strings.Contains(got, "s3cret") {
			t.Errorf("ALL_PROXY=%q: logged %q", value, got)
		}
	}
}
