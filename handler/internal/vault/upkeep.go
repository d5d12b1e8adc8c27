package vault

import (
	"context"
	"errors"
	"sync"
	"time"
)

// upkeepTime bounds what one call of Maintain takes.
const upkeepTime = 20 * time.Second

// upkeep is what a process knows of the work of Maintain.
type upkeep struct {
	mu       sync.Mutex
	swept    time.Time // when this process began to sweep last
	migrated bool      // everything is in this program's form
	under    string    // ... and under this root
}

// sweepIsDue reports whether to sweep now, and takes that as done.
func (u *upkeep) sweepIsDue(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.swept) < sweepEvery {
		return false
	}
	u.swept = now
	return true
}

func (u *upkeep) isMigrated() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.migrated
}

func (u *upkeep) setMigrated() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.migrated = true
}

func (u *upkeep) isMigratedUnder(root string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.migrated && u.under == root
}

func (u *upkeep) setMigratedUnder(root string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.migrated, u.under = true, root
}

// Maintain keeps what is stored in order: it brings what older programs wrote to
// this one's form, and everything under the current root, and looks for due rows that were lost. The timer calls it after
// Advance; any number of instances may. It takes upkeepTime at most, and goes on
// where it left off.
func (v *Vault) Maintain(ctx context.Context) error {
	end := v.now().Add(upkeepTime)
	return errors.Join(v.migrate(ctx, end), v.sweep(ctx, end))
}
