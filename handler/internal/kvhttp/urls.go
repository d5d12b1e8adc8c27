package kvhttp

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// vaultURLs are the addresses under which the vault answers. A request only
// selects one of them by its host; what it sends never becomes part of an answer
// otherwise.
type vaultURLs struct {
	exact    []string // canonical hosts, in the order of the settings
	suffixes []string // of patterns: ".vault.azure.net"
}

func parseVaultURLs(list []string) (vaultURLs, error) {
	var u vaultURLs
	for _, s := range list {
		parsed, err := url.Parse(s)
		if err != nil {
			return vaultURLs{}, fmt.Errorf("parsing vault URL %q: %w", s, err)
		}
		if bare := (&url.URL{Scheme: "https", Host: parsed.Host}).String(); parsed.Hostname() == "" || strings.TrimSuffix(s, "/") != bare {
			return vaultURLs{}, fmt.Errorf("vault URL %q: must be https://HOST or https://HOST:PORT", s)
		}
		host := canonicalHost(parsed.Host)
		suffix, pattern := strings.CutPrefix(host, "*.")
		switch {
		case strings.Contains(suffix, "*"):
			return vaultURLs{}, fmt.Errorf("vault URL %q: only the whole first label may be *", s)
		case pattern:
			u.suffixes = append(u.suffixes, "."+suffix)
		default:
			u.exact = append(u.exact, host)
		}
	}
	if len(u.exact) == 0 {
		return vaultURLs{}, fmt.Errorf("vault URLs %q: at least one must not be a pattern", list)
	}
	return u, nil
}

var hostLabel = regexp.MustCompile(`^[0-9a-z]([0-9a-z-]{0,61}[0-9a-z])?$`)

// selectBy returns the URL that a client used to address this host, without a
// slash at the end; the first URL of the settings if the host is not in them.
func (u vaultURLs) selectBy(host string) string {
	host = canonicalHost(host)
	for _, h := range u.exact {
		if h == host {
			return "https://" + h
		}
	}
	for _, suffix := range u.suffixes {
		if label, ok := strings.CutSuffix(host, suffix); ok && hostLabel.MatchString(label) {
			return "https://" + host
		}
	}
	return "https://" + u.exact[0]
}

// canonicalHost is a host in lower case, without https's default port.
func canonicalHost(host string) string {
	host = strings.ToLower(host)
	if h, port, err := net.SplitHostPort(host); err == nil && port == "443" {
		if strings.Contains(h, ":") {
			return "[" + h + "]"
		}
		return h
	}
	return host
}
