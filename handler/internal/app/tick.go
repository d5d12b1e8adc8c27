package app

import (
	"context"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

// Tick does the work that is due: operations, renewals, events, CRLs, upkeep. It is to be
// called every minute or oftener, and any number of instances may run it at once;
// ctx bounds it. The error says that due work could not be read: a single item
// that fails is in the log, and a later tick tries it again.
func (a *App) Tick(ctx context.Context) (vault.Tick, error) {
	report, err := a.vault.Advance(ctx)
	if err := a.vault.Maintain(ctx); err != nil {
		a.log.Error("upkeep of what is stored is not done", "error", err)
	}
	a.refreshCRLs(ctx)
	return report, err
}

// crlTimeout bounds what one CA's CRL may take of a tick.
const crlTimeout = 10 * time.Second

// refreshCRLs publishes the CRLs that are due. What fails is tried again by the
// next tick, long before the last CRL runs out.
func (a *App) refreshCRLs(ctx context.Context) {
	for name, ca := range privateCAs(a.issuers) {
		ctx, cancel := context.WithTimeout(ctx, crlTimeout)
		if err := ca.RefreshCRL(ctx); err != nil {
			a.log.Error("CRL not refreshed", "ca", name, "error", err)
		}
		cancel()
	}
}
