package vault

import (
	"context"
	"fmt"
	"runtime/debug"
)

// recovered, deferred around a call of a provider or a destination, makes an error
// of its panic. What it panicked with may hold anything, so that is for the log
// alone: errors are stored and shown.
func (v *Vault) recovered(ctx context.Context, kind, name string, err *error, about ...any) {
	if p := recover(); p != nil {
		about = append(about, kind, name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		v.cfg.Log.ErrorContext(ctx, kind+" panicked", about...)
		*err = fmt.Errorf("%s %s panicked", kind, name)
	}
}
