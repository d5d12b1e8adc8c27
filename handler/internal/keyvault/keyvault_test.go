package keyvault_test

// Ids and public keys of Key Vault, and the brief form of its refusals.

import (
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/certwright/certwright/handler/internal/keyvault"
)

func TestParseID(t *testing.T) {
	t.Parallel()
	version := strings.Repeat("0f", 16)
	for text, want := range map[string]keyvault.ID{
		"https://kv.example.com/keys/ca":                   {Host: "kv.example.com", Name: "ca"},
		"https://kv.example.com/keys/ca/":                  {Host: "kv.example.com", Name: "ca"},
		"https://KV.example.com:8443/keys/CA-1/" + version: {Host: "KV.example.com:8443", Name: "CA-1", Version: version},
	} {
		if id, err := keyvault.ParseID(text); err != nil || id != want {
			t.Errorf("%s: %+v, %v", text, id, err)
		}
	}
	for _, text := range []string{
		"", "ca", "http://kv.example.com/keys/ca", "https:///keys/ca", "https://u@kv.example.com/keys/ca", "https://kv.example.com/keys/ca?a=b",
		"https://kv.example.com/keys/ca#a", "https://kv.example.com/keys/", "https://kv.example.com/secrets/ca", "https://kv.example.com/keys/a%2Fb",
		"https://kv.example.com/keys/ca/1", "https://kv.example.com/keys/ca/" + strings.ToUpper(version), "https://kv.example.com/keys/ca/" + version + "/x",
		"https://kv.example.com/keys/" + strings.Repeat("a", 128), "https://kv.example.com/%",
	} {
		if id, err := keyvault.ParseID(text); err == nil {
			t.Errorf("%q is taken for %+v", text, id)
		}
	}
}

func TestRSAPublicKey(t *testing.T) {
	t.Parallel()
	number := func(bits uint) []byte {
		return new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), bits-1), big.NewInt(1)).Bytes()
	}
	key, err := keyvault.RSAPublicKey(&azkeys.JSONWebKey{N: number(2048), E: []byte{1, 0, 1}})
	if err != nil || key.N.BitLen() != 2048 || key.E != 65537 {
		t.Errorf("%v, %v", key, err)
	}
	for _, test := range []struct {
		jwk  azkeys.JSONWebKey
		want string
	}{
		{azkeys.JSONWebKey{}, "of 0 bits"},
		{azkeys.JSONWebKey{N: number(2047), E: []byte{3}}, "of 2047 bits, want at least 2048"},
		{azkeys.JSONWebKey{N: number(2048), E: []byte{1}}, "public exponent"},
		{azkeys.JSONWebKey{N: number(2048)}, "public exponent"},
		{azkeys.JSONWebKey{N: number(2048), E: number(32)}, "public exponent"},
		{azkeys.JSONWebKey{N: number(2048), E: number(65)}, "public exponent"},
	} {
		if key, err := keyvault.RSAPublicKey(&test.jwk); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v", test.want, key, err)
		}
	}
}

func TestBrief(t *testing.T) {
	t.Parallel()
	dump := fmt.Errorf("getting a key: %w", &azcore.ResponseError{StatusCode: http.StatusForbidden, ErrorCode: "Forbidden"})
	if text := keyvault.Brief(dump).Error(); text != "the vault answered 403 Forbidden" {
		t.Error(text)
	}
	other := errors.New("connection refused")
	if err := keyvault.Brief(other); err != other {
		t.Error(err)
	}
}
