package functionshost

// host.json.

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// readTestHostFile reads a host.json whose customHandler has more keys.
func readTestHostFile(t *testing.T, top, handler string, environ ...string) (*hostFile, error) {
	t.Helper()
	root := t.TempDir()
	text := `{"version":"2.0"` + top + `,"customHandler":{"description":{"defaultExecutablePath":"x"}` + handler + `}}`
	if err := os.WriteFile(filepath.Join(root, "host.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return readHostFile(root, environ)
}

func TestHostFileDefaults(t *testing.T) {
	t.Parallel()
	h, err := readTestHostFile(t, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if h.functionTimeout() != 30*time.Minute || h.initializationTimeout() != 30*time.Second || h.routePrefix() != "api" ||
		h.CustomHandler.Forwarding != false || h.CustomHandler.Proxying != false {
		t.Errorf("defaults: %v, %v, %q, %+v", h.functionTimeout(), h.initializationTimeout(), h.routePrefix(), h.CustomHandler)
	}
}

func TestHostFileOverrides(t *testing.T) {
	t.Parallel()
	h, err := readTestHostFile(t, `,"functionTimeout":"00:02:00","extensions":{"http":{"routePrefix":"v1"}}`, `,"enableProxyingHttpRequest":true`,
		"AzureFunctionsJobHost__FUNCTIONTIMEOUT=-1", "azurefunctionsjobhost:extensions:http:routePrefix=/v2/",
		"AzureFunctionsJobHost__customHandler__enableProxyingHttpRequest=False",
		"AzureFunctionsJobHost__customHandler__enableForwardingHttpRequest=True",
		"AzureFunctionsJobHost__customHandler__initializationTimeout=00:00:05",
		`AzureFunctionsJobHost__customHandler__description__arguments=["a","b"]`,
		"AzureFunctionsJobHost__customHandler__port=1234", "AzureFunctionsJobHost__logging__logLevel__default=Debug", "AzureFunctionsJobHost=x")
	if err != nil {
		t.Fatal(err)
	}
	if h.functionTimeout() != 0 || h.initializationTimeout() != 5*time.Second || h.routePrefix() != "v2" ||
		h.CustomHandler.Forwarding != true || h.CustomHandler.Proxying != false || h.CustomHandler.Port.String() != "1234" ||
		!slices.Equal(h.CustomHandler.Description.Arguments, []string{"a", "b"}) {
		t.Errorf("overridden: %v, %v, %q, %+v", h.functionTimeout(), h.initializationTimeout(), h.routePrefix(), h.CustomHandler)
	}
}

func TestHostFileRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range [][2]string{
		{`,"functionTimeout":"soon"`, ""}, {`,"functionTimeout":5`, ""}, {"", `,"enableForwardingHttpRequest":"maybe"`},
		{"", `,"initializationTimeout":"-"`}, {"", `,"port":"x"`}, {"", `,"description":{"defaultExecutablePath":"x","arguments":"a b"}`},
	} {
		if _, err := readTestHostFile(t, test[0], test[1]); err == nil || !strings.Contains(err.Error(), "host.json") {
			t.Errorf("%s %s: %v, want an error", test[0], test[1], err)
		}
	}
}

func TestDefaultAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address string
		port    int // of local.settings.json
		want    string
	}{
		{"", 0, "127.0.0.1:7071"},
		{"", 7072, "127.0.0.1:7072"},
		{"[::1]:80", 7072, "[::1]:80"},
	} {
		var local localSettings
		local.Host.LocalHTTPPort = test.port
		cfg, err := Config{Root: "x", Address: test.address}.withDefaults(local)
		if err != nil || cfg.Address != test.want {
			t.Errorf("address %q with port %d: %q, %v, want %q", test.address, test.port, cfg.Address, err, test.want)
		}
		if cfg.Now == nil || cfg.After == nil || cfg.NewID == nil || cfg.Log == nil || cfg.Environ == nil {
			t.Errorf("something has no default: %+v", cfg)
		}
	}
}
