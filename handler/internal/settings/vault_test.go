package settings_test

// A vault made of settings.

import (
	"log/slog"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/rootkey/rootkeytest"
	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// openVault is the vault of the settings of development and these, on a store in
// memory.
func openVault(t *testing.T, changes map[string]string) (*vault.Vault, *memory.Store) {
	t.Helper()
	s, err := settingstest.Parse(settingstest.Development, changes)
	if err != nil {
		t.Fatal(err)
	}
	kek, err := seal.NewFileKEK(settingstest.KEK(t))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(seal.Config{VaultID: s.VaultID, KEK: kek, Keys: rootkeytest.Fixed(t, s.VaultID, nil)})
	if err != nil {
		t.Fatal(err)
	}
	store := new(memory.Store)
	issuers, err := s.OpenProviders(settings.Backend{Store: store, Seal: sealer.Seal, Open: sealer.Open, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.New(vault.Config{Store: store, Seal: sealer.Seal, Open: sealer.Open, Providers: issuers, NameConstraints: s.NameConstraints()})
	if err != nil {
		t.Fatal(err)
	}
	return v, store
}

// openProvider opens a provider of a member of CERTWRIGHT_PROVIDERS. That the text
// is not a provider is the test's fault; the error is that of opening it.
func openProvider(t *testing.T, b settings.Backend, text string) (provider.Provider, error) {
	t.Helper()
	s, err := settingstest.Parse(settingstest.Development, map[string]string{"CERTWRIGHT_PROVIDERS": `{"CA": ` + text + `}`})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	issuers, err := s.OpenProviders(b)
	return issuers["ca"], err
}
