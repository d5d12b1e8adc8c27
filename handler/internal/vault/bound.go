package vault

import (
	"context"
	"crypto"
	"errors"
	"runtime"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
)

// bound is how many calls may do one kind of costly work at once. Others wait for
// their turn, and those that would wait long are told to come back.
type bound struct {
	turns   chan struct{} // one for each call at work
	waiting chan struct{} // one for each call that waits
	patient time.Duration
}

func newBound(atOnce, waiting int, patient time.Duration) *bound {
	return &bound{make(chan struct{}, atOnce), make(chan struct{}, waiting), patient}
}

// errTooMany is why a call is sent away.
var errTooMany = errors.New("too many calls for costly work at once")

// enter waits for a turn, which ends with leave. The error is an *Error with the
// reason Throttled, or Unavailable when ctx ended.
func (b *bound) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { <-b.turns }
	select {
	case b.turns <- struct{}{}:
		return leave, nil
	default:
	}
	select {
	case b.waiting <- struct{}{}:
		defer func() { <-b.waiting }()
	default:
		return nil, &Error{Reason: Throttled, Err: errTooMany}
	}
	timer := time.NewTimer(b.patient)
	defer timer.Stop()
	select {
	case b.turns <- struct{}{}:
		return leave, nil
	case <-timer.C:
		return nil, &Error{Reason: Throttled, Err: errTooMany}
	case <-ctx.Done():
		return nil, unavailable(context.Cause(ctx))
	}
}

// Bounds of costly work. A processor is left for everything else, if there are
// several.
const (
	maxReadings  = 2 // imports and merges: PKCS #12 and passwords
	maxRestores  = 2 // each holds a backup of tens of megabytes, several times
	maxWaiting   = 32
	longestQueue = 15 * time.Second
)

// maxMakings is how many RSA keys are made at once.
func maxMakings() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// makeKey makes a key pair. An RSA key takes seconds of a processor.
func (v *Vault) makeKey(ctx context.Context, k policy.KeyProperties) (crypto.Signer, error) {
	if k.Type == policy.KeyRSA || k.Type == policy.KeyRSAHSM {
		leave, err := v.making.enter(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	return v.cfg.NewKey(k)
}

// EnterRestore waits for the turn to restore a certificate, which ends with leave.
// It comes before the backup is read into memory.
func (v *Vault) EnterRestore(ctx context.Context) (leave func(), err error) {
	return v.restoring.enter(ctx)
}

// decided is ctx for what a call does after its costly part: whoever asked may
// have hung up, and what was begun is finished within the same time.
func decided(ctx context.Context) (context.Context, context.CancelFunc) {
	free := context.WithoutCancel(ctx)
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(free, end)
	}
	return free, func() {}
}
