package vault_test

// Purge protection.

import (
	"context"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

func TestRecoveryLevel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		days      int
		protected bool
		level     string
	}{
		{0, false, "Recoverable+Purgeable"},
		{90, false, "Recoverable+Purgeable"},
		{7, false, "CustomizedRecoverable+Purgeable"},
		{90, true, "Recoverable"},
		{89, true, "CustomizedRecoverable"},
	} {
		h := newHarness(t, nil)
		h.Vault = openWith(t, h.store, h.clock, func(cfg *vault.Config) {
			cfg.RecoverableDays, cfg.PurgeProtection = c.days, c.protected
		})
		if got := h.mustSelf("web").Attributes.RecoveryLevel; got != c.level {
			t.Errorf("%d days, protected %v: %s, want %s", c.days, c.protected, got, c.level)
		}
	}
}

// TestPurgeProtection: nobody but the date purges.
func TestPurgeProtection(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.Vault = openWith(t, h.store, h.clock, func(cfg *vault.Config) { cfg.RecoverableDays, cfg.PurgeProtection = 7, true })
	ctx := context.Background()
	n := name(t, "web")
	h.mustSelf("web")
	if err := h.Purge(ctx, n); reason(t, err) != vault.DeletedNotFound {
		t.Errorf("purge of a certificate that is not deleted: %v", err)
	}
	if _, err := h.Delete(ctx, n); err != nil {
		t.Fatal(err)
	}
	if err := h.Purge(ctx, n); reason(t, err) != vault.PurgeProtected {
		t.Errorf("purge: %v, want PurgeProtected", err)
	}
	h.clock.Advance(7*24*time.Hour - time.Minute)
	h.mustTick()
	if _, err := h.Deleted(ctx, n); err != nil {
		t.Errorf("before its date: %v", err)
	}
	h.clock.Advance(time.Minute)
	h.mustTick()
	if _, err := h.Deleted(ctx, n); reason(t, err) != vault.DeletedNotFound {
		t.Errorf("after its date: %v, want DeletedNotFound", err)
	}
	if c := h.store.Contents(); len(c.Blobs) != 0 {
		t.Errorf("%d chain blobs are left", len(c.Blobs))
	}
}
