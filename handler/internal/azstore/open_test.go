package azstore_test

// What configurations Open accepts.

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/certwright/certwright/handler/internal/azstore"
)

// roundTripper answers requests in the network's place.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func client(f roundTripper) *http.Client { return &http.Client{Transport: f} }

// tokens is a credential whose token opens nothing.
type tokens struct{}

func (tokens) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "secret-token"}, nil
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]bool{
		"http://127.0.0.1:10002/devstoreaccount1":          true,
		"https://127.1.2.3":                                true,
		"http://localhost:10000":                           true,
		"http://[::1]:10000/a":                             true,
		"http://[::ffff:127.0.0.1]:10000":                  true,
		"https://account.table.core.windows.net":           false,
		"http://127.0.0.1.example.com":                     false,
		"http://127.0.0.1@example.com":                     false,
		"http://localhost.example.com":                     false,
		"http://azurite:10000":                             false,
		"http://0.0.0.0:10000":                             false,
		"http://10.0.0.1":                                  false,
		"http://[::ffff:10.0.0.1]":                         false,
		"127.0.0.1:10000":                                  false,
		"localhost":                                        false,
		"":                                                 false,
		"http://127.0.0.1:port":                            false,
		"https://example.com/http://127.0.0.1/?127.0.0.1#": false,
	} {
		if got := azstore.Loopback(endpoint); got != want {
			t.Errorf("Loopback(%q): got %t, want %t", endpoint, got, want)
		}
	}
}

const emulator = "AccountName=devstoreaccount1;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:1/d;BlobEndpoint=http://127.0.0.1:2/d"

func TestConfigLoopback(t *testing.T) {
	t.Parallel()
	const local, remote = "https://127.0.0.1:10000", "https://account.blob.core.windows.net"
	for _, test := range []struct {
		cfg  azstore.Config
		want bool
	}{
		{azstore.Config{ConnectionString: emulator}, true},
		{azstore.Config{ConnectionString: "UseDevelopmentStorage=true"}, true},
		{azstore.Config{ConnectionString: "UseDevelopmentStorage=true;"}, true},
		{azstore.Config{ConnectionString: strings.Replace(emulator, "127.0.0.1:1", "example.com", 1)}, false},
		{azstore.Config{ConnectionString: strings.Replace(emulator, "127.0.0.1:2", "example.com", 1)}, false},
		{azstore.Config{ConnectionString: "AccountName=a;AccountKey=a2V5"}, false},
		{azstore.Config{ConnectionString: "nonsense"}, false},
		{azstore.Config{TableEndpoint: local, BlobEndpoint: local}, true},
		{azstore.Config{TableEndpoint: local, BlobEndpoint: remote}, false},
		{azstore.Config{TableEndpoint: remote, BlobEndpoint: local}, false},
		{azstore.Config{}, false},
	} {
		if got := test.cfg.Loopback(); got != test.want {
			t.Errorf("Loopback of %q, %q, %q: got %t, want %t", test.cfg.ConnectionString, test.cfg.TableEndpoint, test.cfg.BlobEndpoint, got, test.want)
		}
	}
}

func TestOpenSendsNothing(t *testing.T) {
	t.Parallel()
	silent := client(func(r *http.Request) (*http.Response, error) {
		t.Errorf("%s %s was sent", r.Method, r.URL)
		return nil, errors.New("no network")
	})
	for name, cfg := range map[string]azstore.Config{
		"with a key":                 {ConnectionString: emulator},
		"with the emulator's key":    {ConnectionString: "UseDevelopmentStorage=true"},
		"with a token":               {TableEndpoint: "https://a.table.core.windows.net", BlobEndpoint: "https://a.blob.core.windows.net/", Credential: tokens{}},
		"with a table and container": {ConnectionString: emulator, Table: "Vault2", Container: "my-chains"},
	} {
		cfg.VaultID, cfg.HTTPClient = "v1", silent
		if _, err := azstore.Open(cfg); err != nil {
			t.Errorf("opening %s: %v", name, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const secret = "c2VjcmV0"
	withKey := func(s string) azstore.Config { return azstore.Config{ConnectionString: s, VaultID: "v1"} }
	withToken := azstore.Config{TableEndpoint: "https://a.table.core.windows.net", BlobEndpoint: "https://a.blob.core.windows.net", Credential: tokens{}, VaultID: "v1"}
	change := func(cfg azstore.Config, f func(*azstore.Config)) azstore.Config { f(&cfg); return cfg }
	for name, test := range map[string]struct {
		cfg  azstore.Config
		want string
	}{
		"a key for a table in the cloud":  {withKey("AccountName=a;AccountKey=" + secret + ";TableEndpoint=https://a.table.core.windows.net;BlobEndpoint=http://127.0.0.1:1"), "loopback"},
		"a key for blobs in the cloud":    {withKey("AccountName=a;AccountKey=" + secret + ";BlobEndpoint=https://a.blob.core.windows.net;TableEndpoint=http://127.0.0.1:1"), "loopback"},
		"the portal's connection string":  {withKey("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=" + secret + ";EndpointSuffix=core.windows.net"), "TableEndpoint"},
		"a shared access signature":       {withKey("AccountName=a;SharedAccessSignature=sv=1&sig=" + secret + ";TableEndpoint=http://127.0.0.1:1;BlobEndpoint=http://127.0.0.1:1"), "AccountKey"},
		"a connection string in pieces":   {withKey("AccountName=a;" + secret), "name=value"},
		"a key that is none":              {withKey(strings.Replace(emulator, "a2V5", secret+"!", 1)), "base64"},
		"no endpoint":                     {azstore.Config{Credential: tokens{}, VaultID: "v1"}, "https"},
		"no credential":                   {change(withToken, func(c *azstore.Config) { c.Credential = nil }), "credential"},
		"a token over http":               {change(withToken, func(c *azstore.Config) { c.TableEndpoint = "http://127.0.0.1:10002" }), "https"},
		"an endpoint without a host":      {change(withToken, func(c *azstore.Config) { c.BlobEndpoint = "https:///a" }), "https"},
		"both ways in":                    {change(withToken, func(c *azstore.Config) { c.ConnectionString = emulator }), "excludes"},
		"no vault id":                     {change(withToken, func(c *azstore.Config) { c.VaultID = "" }), "vault id"},
		"a vault id that is not a key":    {change(withToken, func(c *azstore.Config) { c.VaultID = "https://a/" }), "vault id"},
		"a table name that is none":       {change(withToken, func(c *azstore.Config) { c.Table = "my-table" }), "table"},
		"a container name that is none":   {change(withToken, func(c *azstore.Config) { c.Container = "My" }), "container"},
		"a CRL container name":            {change(withToken, func(c *azstore.Config) { c.CRLContainer = "My" }), "container"},
		"a container name that is longer": {change(withToken, func(c *azstore.Config) { c.Container = strings.Repeat("a-", 32) + "a" }), "container"},
	} {
		_, err := azstore.Open(test.cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error about %q", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error repeats the key: %v", name, err)
		}
	}
}
