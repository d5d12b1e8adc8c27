package funchost

import (
	"net/url"
	"slices"
	"strings"
)

// proxySettings are the variables by which .NET's client, which the Functions
// host calls the handler with, is told of a proxy for plain HTTP.
// HTTPS_PROXY is not among them.
var proxySettings = []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}

// CallsThroughProxy returns the app setting, if there is one, that has the
// Functions host send its calls of the handler, bearer tokens included, in plain
// HTTP to a proxy: the host's client makes no exception for this machine unless
// NO_PROXY names 127.0.0.1. host is the proxy's, to show; the setting itself may
// hold a password.
func CallsThroughProxy(getenv func(string) string) (setting, host string, found bool) {
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		direct := strings.Split(getenv(name), ",")
		if slices.ContainsFunc(direct, func(s string) bool { return strings.TrimSpace(s) == "127.0.0.1" }) {
			return "", "", false
		}
	}
	for _, name := range proxySettings {
		value := getenv(name)
		if value == "" {
			continue
		}
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		if u, err := url.Parse(value); err == nil {
			host = u.Host
		}
		return name, host, true
	}
	return "", "", false
}
