package functionshost

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Keys are the function keys that requests must carry, in the header
// x-functions-key or else the query parameter code.
type Keys struct {
	Master    string              // opens every function and the admin endpoints
	Host      []string            // each opens every function of level "function"
	Functions map[string][]string // by function name: each opens that function
}

// An authLevel decides who may call an HTTP function.
type authLevel string

const (
	anonymous     authLevel = "anonymous"
	functionLevel authLevel = "function"
	adminLevel    authLevel = "admin"
)

func parseAuthLevel(text string) (authLevel, error) {
	switch level := authLevel(strings.ToLower(text)); level {
	case "":
		return functionLevel, nil
	case anonymous, functionLevel, adminLevel:
		return level, nil
	}
	return "", fmt.Errorf("authLevel %q is not anonymous, function or admin", text)
}

// allow reports whether the request may call what needs level; function is the
// function's name, or empty for an admin endpoint. Nil keys allow everything,
// as `func start` does.
func (k *Keys) allow(r *http.Request, level authLevel, function string) bool {
	if k == nil || level == anonymous {
		return true
	}
	key := r.Header.Get("X-Functions-Key")
	if key == "" {
		query, _ := url.ParseQuery(r.URL.RawQuery) // the rest of a broken query still counts
		key = query.Get("code")
	}
	accepted := []string{k.Master}
	if level == functionLevel {
		accepted = append(append(accepted, k.Host...), k.Functions[function]...)
	}
	return slices.ContainsFunc(accepted, func(want string) bool {
		return want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(key)) == 1
	})
}
