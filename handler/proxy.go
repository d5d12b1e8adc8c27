package main

import (
	"log/slog"
	"net/url"
	"slices"
	"strings"
)

// proxySettings are the variables by which .NET's client, which the Functions
// host calls the handler with, is told of a proxy for plain HTTP.
// HTTPS_PROXY is not among them.
var proxySettings = []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}

// callsThroughProxy returns the app setting, if there is one, that has the
// Functions host send its calls of the handler, bearer tokens included, in plain
// HTTP to a proxy: the host's client makes no exception for this machine unless
// NO_PROXY names 127.0.0.1. host is the proxy's, to show; the setting itself may
// hold a password.
func callsThroughProxy(getenv func(string) string) (setting, host string, found bool) {
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

// warnOfProxy warns of an app setting with which the Functions host does not
// call this process directly.
func warnOfProxy(getenv func(string) string, log *slog.Logger) {
	if setting, host, found := callsThroughProxy(getenv); found {
		log.Warn("the Functions host sends its calls of this handler, bearer tokens included, unencrypted through a proxy: remove the app setting, or set NO_PROXY=127.0.0.1",
			"setting", setting, "proxy", host)
	}
}
