package privateca_test

// The contract of providers, with either kind of key.

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azpolicy "github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/egress"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
	"github.com/certwright/certwright/handler/internal/provider/providertest"
)

var contractPolicy = policy.Params{X509: &policy.X509Params{
	Subject: new("CN=www.contoso.com"), SANs: &policy.SANs{DNSNames: []string{"www.contoso.com"}},
}}

func TestContractWithSoftwareKey(t *testing.T) {
	t.Parallel()
	providertest.IssuerContract(t, func(t testing.TB, _ *providertest.Network) providertest.Rig {
		c, s := newPair(t), new(signatures)
		return providertest.Rig{
			New: func(p *providertest.Process) (provider.Provider, error) {
				open := func(context.Context) (crypto.Signer, error) { return countingSigner{c.key, s}, nil }
				return privateca.New(privateca.Config{Chain: c.chain, Key: open, Now: p.Now, Log: p.Log})
			},
			Policy: contractPolicy,
			Made:   s.made, MaxCertificates: 1, Idempotent: true,
		}
	})
}

func TestContractWithKeyVaultKey(t *testing.T) {
	t.Parallel()
	providertest.IssuerContract(t, func(t testing.TB, n *providertest.Network) providertest.Rig {
		c := newCA(t, nil, ecKey(t, elliptic.P256()), nil)
		s := new(signatures)
		keyVaultURL := n.Serve(&vaultOfKey{&keyVault{key: countingSigner{c.key, s}}})
		return providertest.Rig{
			New: func(p *providertest.Process) (provider.Provider, error) {
				client, err := egress.NewClient(egress.Config{Hosts: []string{strings.TrimPrefix(keyVaultURL, "https://")}, Roots: n.Roots()})
				if err != nil {
					return nil, err
				}
				key, err := privateca.NewKeyVaultKey(privateca.KeyVaultConfig{
					KeyID: keyVaultURL + "/keys/ca/" + keyVersion, Credential: accessToken{}, HTTPClient: client,
				})
				if err != nil {
					return nil, err
				}
				return privateca.New(privateca.Config{Chain: c.chain, Key: key.Signer, Now: p.Now, Log: p.Log})
			},
			Policy:  contractPolicy,
			Secrets: []string{bearer},
			Made:    s.made, MaxCertificates: 1, Idempotent: true,
		}
	})
}

// signatures count what a key signs: another certificate has another digest.
type signatures struct {
	mu      sync.Mutex
	digests [][]byte
}

func (s *signatures) made() providertest.Made {
	s.mu.Lock()
	defer s.mu.Unlock()
	return providertest.Made{Certificates: len(s.digests)}
}

type countingSigner struct {
	crypto.Signer
	signatures *signatures
}

func (c countingSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.signatures.mu.Lock()
	defer c.signatures.mu.Unlock()
	if !slices.ContainsFunc(c.signatures.digests, func(d []byte) bool { return bytes.Equal(d, digest) }) {
		c.signatures.digests = append(c.signatures.digests, bytes.Clone(digest))
	}
	return c.Signer.Sign(random, digest, opts)
}

// bearer is the access token that the vault wants.
const bearer = "eyJ0eXAiOiJKV1Qi"

type accessToken struct{}

func (accessToken) GetToken(context.Context, azpolicy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: bearer, ExpiresOn: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}, nil
}

// vaultOfKey is a keyVault at an address that the SDK cannot know beforehand.
type vaultOfKey struct{ vault *keyVault }

func (v *vaultOfKey) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+bearer {
		// The SDK wants a resource whose host the vault's ends with.
		_, domain, _ := strings.Cut(r.Host, ".")
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.example.com/tenant", resource="https://`+domain+`"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.Header.Set("Authorization", "Bearer token")
	v.vault.ServeHTTP(w, r)
}
