package pbe

import "context"

// MaxHashes is how many computations of SHA-256 one file may cost, about two
// seconds; a longer hash counts for three. The costliest files known are those of
// GnuTLS and NSS, with 600,000 iterations: GnuTLS derives a key for each
// certificate, and with a chain of ten its file costs 13.8 million hashes. OpenSSL,
// Java and Bouncy Castle take some ten to a hundred thousand iterations, Windows
// and .NET two thousand.
const MaxHashes = 15_000_000

// maxIterations bounds one derivation, the time between two looks at whether the
// caller still waits.
const maxIterations = 1_000_000

// Work is what may still be spent on one file.
type Work struct{ left int64 }

// NewWork allows so many hashes, MaxHashes for a file from outside.
func NewWork(hashes int64) *Work { return &Work{hashes} }

// spend pays for a derivation, or refuses it.
func (w *Work) spend(ctx context.Context, hashes int64) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if hashes > w.left {
		return ErrTooCostly
	}
	w.left -= hashes
	return nil
}
