package egress

import (
	"fmt"
	"net/url"
	"strings"
)

// BaseURL reads the base of a server's API, https://HOST/PATH, which paths are
// appended to: a slash at its end is left out. The error names the text.
func BaseURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not of the form https://HOST/PATH", text)
	}
	return u, nil
}
