package auth_test

// Claims of any form, against a second reading of the rules.

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/certwright/certwright/handler/internal/auth"
)

// Claims under a good signature make a caller only if they are of the right
// issuer, audience and time, and the caller is who they say.
func FuzzClaims(f *testing.F) {
	i, c := newIssuer(f), newClock()
	cfg := i.config(c)
	v := newValidator(f, cfg)
	encode := base64.RawURLEncoding.EncodeToString
	header := encode([]byte(`{"alg":"RS256","kid":"k0"}`))
	const leeway = 5 * time.Minute
	latest, earliest := float64(c.now().Add(leeway).Unix()), float64(c.now().Add(-leeway).Unix())
	f.Fuzz(func(t *testing.T, data []byte) {
		signed := header + "." + encode(data)
		signature, err := jwt.SigningMethodRS256.Sign(signed, testKeys()[0])
		if err != nil {
			t.Fatal(err)
		}
		caller, err := v.Authenticate(t.Context(), bearer(signed+"."+encode(signature)))
		if err != nil {
			if _, refused := errors.AsType[*auth.TokenError](err); !refused || caller.Can(auth.CertificatesGet) {
				t.Fatalf("%q: %+v, %v, want a TokenError", data, caller, err)
			}
			return
		}
		var claims struct {
			Audience  any          `json:"aud"`
			Expires   *json.Number `json:"exp"`
			NotBefore *json.Number `json:"nbf"`
			Issued    *json.Number `json:"iat"`
			Issuer    string       `json:"iss"`
			ObjectID  string       `json:"oid"`
			AppID     string       `json:"appid"`
			Party     string       `json:"azp"`
			TenantID  string       `json:"tid"`
			Roles     any          `json:"roles"`
		}
		if err := json.Unmarshal(data, &claims); err != nil {
			t.Fatalf("%q is taken: %v", data, err)
		}
		if exp := claims.Expires; exp == nil || seconds(t, exp) < earliest {
			t.Fatalf("%q is taken at %v", data, c.now())
		}
		for _, start := range []*json.Number{claims.NotBefore, claims.Issued} {
			if start == nil {
				continue
			}
			if at := seconds(t, start); at >= latest+1 { // whole seconds count
				t.Fatalf("%q is taken at %v", data, c.now())
			}
		}
		ours := func(aud any) bool {
			s, ok := aud.(string)
			return ok && slices.Contains(cfg.Audiences, s)
		}
		if list, ok := claims.Audience.([]any); !ours(claims.Audience) && !(ok && slices.ContainsFunc(list, ours)) {
			t.Fatalf("%q is taken for %q", data, cfg.Audiences)
		}
		switch {
		case !slices.Contains(cfg.Issuers, claims.Issuer) || caller.Issuer != claims.Issuer,
			caller.ObjectID != claims.ObjectID || caller.AppID != cmp.Or(claims.AppID, claims.Party) || caller.TenantID != claims.TenantID,
			caller.ObjectID == "" && caller.AppID == "",
			claims.Roles == nil && caller.Can(auth.CertificatesGet):
			t.Fatalf("%q makes the caller %+v", data, caller)
		}
	})
}

func seconds(t *testing.T, n *json.Number) float64 {
	t.Helper()
	f, err := n.Float64()
	if err != nil {
		t.Fatalf("the time %s is taken: %v", n, err)
	}
	return f
}
