package kvhttp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestTooLargeToBeStored: what is within the limits of each field, and too much for one
// object, is the caller's mistake: no SDK sends it again.
func TestTooLargeToBeStored(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	var admins []map[string]string
	for range 50 {
		text := strings.Repeat("\u2028", 330) // of three bytes, which take six in JSON
		admins = append(admins, map[string]string{"first_name": text, "last_name": text, "email": text, "phone": text})
	}
	var uris []string
	for i := range 15 {
		uris = append(uris, fmt.Sprintf("https://example.com/%d?%s", i, strings.Repeat("&", 1900)))
	}
	for _, request := range []struct {
		method, target string
		body           any
	}{
		{"PUT", "/certificates/issuers/big", map[string]any{"provider": "Test", "org_details": map[string]any{"admin_details": admins}}},
		{"POST", "/certificates/web/create", map[string]any{"policy": map[string]any{
			"x509_props": map[string]any{"subject": "CN=example.com", "sans": map[string]any{"uris": uris}},
			"issuer":     map[string]string{"name": "Self"},
		}}},
	} {
		body, err := json.Marshal(request.body)
		if err != nil {
			t.Fatal(err)
		}
		a := s.do(request.method, request.target+v74, strings.ReplaceAll(string(body), `\u2028`, "\u2028"))
		if a.status != 400 || a.field(t, "error.code") != "BadParameter" {
			t.Errorf("%s %s with %d bytes: %d %.200s", request.method, request.target, len(body), a.status, a.body)
		}
	}
}
