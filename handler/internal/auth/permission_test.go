package auth_test

// Permissions by roles and grants.

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/auth"
)

// every lists all permissions, in the order of the columns below.
var every = []auth.Permission{
	auth.CertificatesGet, auth.CertificatesList, auth.CertificatesUpdate, auth.CertificatesCreate,
	auth.CertificatesImport, auth.CertificatesDelete, auth.CertificatesRecover, auth.CertificatesBackup,
	auth.CertificatesRestore, auth.CertificatesPurge, auth.CertificatesManageContacts,
	auth.CertificatesManageIssuers, auth.CertificatesGetIssuers, auth.CertificatesListIssuers,
	auth.CertificatesSetIssuers, auth.CertificatesDeleteIssuers,
	auth.CertificatesRevoke,
	auth.SecretsGet, auth.SecretsList, auth.KeysGet, auth.KeysList, auth.KeysSign, auth.KeysVerify,
	auth.KeysEncrypt, auth.KeysDecrypt, auth.KeysWrapKey, auth.KeysUnwrapKey,
}

func allowed(caller auth.Caller) string {
	var b strings.Builder
	for _, p := range every {
		if caller.Can(p) {
			b.WriteByte('x')
		} else {
			b.WriteByte('.')
		}
	}
	return b.String()
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	grants, err := auth.ParseGrants(" " + strings.ToUpper(oid) + "=certificates/get+certificates/manageissuers ; other=secrets/get;")
	if err != nil {
		t.Fatal(err)
	}
	granting := i.config(c)
	granting.Grants = grants
	for _, tt := range []struct {
		why    string
		v      *auth.Validator
		claims map[string]any
		want   string // columns: certificates 10, contacts, issuers 5, revoke, secrets 2, keys 8
	}{
		{"no roles", i.validator(t, c), nil, ".......... . ..... . .. .... ...."},
		{"role of another service", i.validator(t, c), roles("Owner"), ".......... . ..... . .. .... ...."},
		{"role in another case", i.validator(t, c), roles("key vault administrator"), ".......... . ..... . .. .... ...."},
		{"administrator", i.validator(t, c), roles("Key Vault Administrator"), "xxxxxxxxxx x xxxxx x xx xxxx xxxx"},
		{"officer", i.validator(t, c), roles("Key Vault Certificates Officer"), "xxxxxxxxxx x xxxxx x .. .... ...."},
		{"user", i.validator(t, c), roles("Key Vault Certificate User"), "xx........ . ..... . xx xx.. ...."},
		{"reader", i.validator(t, c), roles("Key Vault Reader"), "xx........ . .xx.. . .x xx.. ...."},
		{"secrets user", i.validator(t, c), roles("Key Vault Secrets User"), ".......... . ..... . xx .... ...."},
		{"crypto user", i.validator(t, c), roles("Key Vault Crypto User"), ".......... . ..... . .. xxxx xxxx"},
		{"purge operator", i.validator(t, c), roles("Key Vault Purge Operator"), ".........x . ..... . .. .... ...."},
		{"administrator without spaces", i.validator(t, c), roles("KeyVault.Administrator"), "xxxxxxxxxx x xxxxx x xx xxxx xxxx"},
		{"officer without spaces", i.validator(t, c), roles("KeyVault.CertificatesOfficer"), "xxxxxxxxxx x xxxxx x .. .... ...."},
		{"user without spaces", i.validator(t, c), roles("KeyVault.CertificateUser"), "xx........ . ..... . xx xx.. ...."},
		{"reader without spaces", i.validator(t, c), roles("KeyVault.Reader"), "xx........ . .xx.. . .x xx.. ...."},
		{"secrets user without spaces", i.validator(t, c), roles("KeyVault.SecretsUser"), ".......... . ..... . xx .... ...."},
		{"crypto user without spaces", i.validator(t, c), roles("KeyVault.CryptoUser"), ".......... . ..... . .. xxxx xxxx"},
		{"purge operator without spaces", i.validator(t, c), roles("KeyVault.PurgeOperator"), ".........x . ..... . .. .... ...."},
		{"two roles", i.validator(t, c), roles("Key Vault Purge Operator", "Key Vault Secrets User"), ".........x . ..... . xx .... ...."},
		{"grant", newValidator(t, granting), nil, "x......... . xxxxx . .. .... ...."},
		{"grant and role", newValidator(t, granting), roles("Key Vault Purge Operator"), "x........x . xxxxx . .. .... ...."},
		{"grant of somebody else", newValidator(t, granting), map[string]any{"oid": "nobody"}, ".......... . ..... . .. .... ...."},
		{"grants are for people, not applications", newValidator(t, granting), map[string]any{"oid": nil, "appid": "other"}, ".......... . ..... . .. .... ...."},
	} {
		caller, err := tt.v.Authenticate(t.Context(), bearer(sign(t, k0, 0, goodClaims(c, tt.claims))))
		if err != nil {
			t.Errorf("%s: %v", tt.why, err)
			continue
		}
		if got, want := allowed(caller), strings.ReplaceAll(tt.want, " ", ""); got != want {
			t.Errorf("%s: allowed\n got %s\nwant %s", tt.why, got, want)
		}
	}
	if got := allowed(auth.Caller{}); strings.Contains(got, "x") {
		t.Errorf("the zero Caller may %s", got)
	}
}

func roles(names ...string) map[string]any { return map[string]any{"roles": names} }

func TestForbidden(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	claims := goodClaims(c, map[string]any{"groups": []string{"a", "b", "c"}})
	caller, err := i.validator(t, c).Authenticate(t.Context(), bearer(sign(t, k0, 0, claims)))
	if err != nil {
		t.Fatal(err)
	}
	const want = "The user, group or application 'appid=app-1;oid=" + oid + ";numgroups=3;iss=" + issuerV1 +
		"' does not have certificates create permission on key vault 'v1;location=westeurope'." +
		" For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287"
	if got := caller.Forbidden(auth.CertificatesCreate, "v1", "westeurope"); got != want {
		t.Errorf("Forbidden:\n got %s\nwant %s", got, want)
	}
}

func TestParseGrants(t *testing.T) {
	t.Parallel()
	got, err := auth.ParseGrants("A-1=certificates/get;b-2=secrets/get+keys/sign")
	want := auth.Grants{"a-1": {auth.CertificatesGet}, "b-2": {auth.SecretsGet, auth.KeysSign}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("ParseGrants: %v\n%s", err, diff)
	}
	for _, empty := range []string{"", " ", ";;"} {
		if got, err := auth.ParseGrants(empty); err != nil || len(got) != 0 {
			t.Errorf("ParseGrants(%q) = %v, %v", empty, got, err)
		}
	}
	for setting, want := range map[string]string{
		"a-1":                               `"" is not a permission`,
		"a-1=":                              `"" is not a permission`,
		"a-1=certificates/get+":             `"" is not a permission`,
		"a-1=certificates/sign":             `"certificates/sign" is not a permission`,
		"a-1=certificates/*":                `"certificates/*" is not a permission`,
		"a-1=Certificates/Get":              `"Certificates/Get" is not a permission`,
		"=certificates/get":                 `"" is not an object id`,
		"a b=certificates/get":              `"a b" is not an object id`,
		"a=keys/get;b=keys/get;A=keys/sign": "a second one",
	} {
		if got, err := auth.ParseGrants(setting); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseGrants(%q) = %v, %v, want an error with %q", setting, got, err, want)
		}
	}
}
