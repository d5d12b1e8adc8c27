package providertest

import (
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// Rig is a provider with a CA: all that [IssuerContract] needs to know of
// either. Each run of the suite opens one of its own.
type Rig struct {
	// New makes the provider as a process does that has just started. All
	// processes of a run share one CA and, through p, one storage.
	New func(p *Process) (provider.Provider, error)

	// Issuer is the issuer object: credentials and organization. The suite
	// names the provider.
	Issuer vault.IssuerSet

	// Policy asks for the certificate; the key is of P-256 unless given. The
	// suite names the issuer.
	Policy policy.Params

	// Secrets must not be found in a log, nor readable in storage: credentials,
	// tokens, keys.
	Secrets []string

	// Made tells what the CA has made up to now; nil where there is no CA
	// outside the process. It may be called while the CA serves.
	Made func() Made

	// MaxOrders and MaxCertificates are how many of each the CA may make for
	// one operation, whatever goes wrong; 0: the provider promises nothing,
	// because the CA's protocol leaves it no way to.
	MaxOrders, MaxCertificates int

	// Idempotent says that the CA itself takes a repeated order for the same
	// one. Where it does not, a worker that was frozen after its last look, for
	// longer than its claim lasts, may double what MaxOrders and
	// MaxCertificates allow.
	Idempotent bool

	// Points bounds how many moments of a run each kind of trouble is tried at,
	// spread evenly over the run; 0: all of them. It is for CAs that cost much
	// time. The process is killed at all of them in any case.
	Points int
}

// Made is what a CA has made since its rig was opened.
type Made struct {
	Orders       int // that were paid for, or would have been
	Certificates int // different ones

	// Held describes whatever is left at the CA, or in DNS, that somebody who
	// gave the operation up must take back: open orders, challenge records. A
	// certificate is nothing of this kind.
	Held []string
}

// IssuerContract tests that a provider keeps every sentence of provider.Provider, and
// of provider.Canceler and provider.Releaser, however its CA and its own process
// behave.
//
// The suite drives real vaults on one [Memory], with a clock of its own, and
// lies between each process and what it calls: the store and, through
// [Network], the CA. It runs one operation from create to its end, many times,
// and each time something else goes wrong at another moment of the run:
//
//   - the process is killed before or after an outgoing call, or a write;
//   - each step is run twice, the second time in another process and with the
//     state from before the first;
//   - a worker stalls in a call or write for longer than its claim lasts, and
//     another one takes over, up to every moment of its own run;
//   - an exchange is lost, answered by a gateway, garbled, cut off, slow,
//     redirected, or 1 GB long;
//   - the user cancels or deletes the operation.
//
// However it went, in the end: the operation has ended, completed unless the
// user gave it up; there is one version if it is completed and none if not; the
// CA made no more than it may, and holds nothing any more; no redirect was
// followed, no endless body read; and no secret is in a log or readable in
// storage.
//
// A rig's CA should let its order be looked at twice before it issues, so that
// there is a time in which the order is open.
func IssuerContract(t *testing.T, open func(t testing.TB, n *Network) Rig) {
	run, err := measure(t, open)
	if err != nil {
		t.Fatalf("an undisturbed run: %v", err)
	}
	t.Logf("an undisturbed run: calls %d, writes %d", run.calls, len(run.moments)-run.calls)
	for _, group := range run.groups() {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, trial := range group.trials {
				t.Run(trial.name, func(t *testing.T) {
					if err := trial.in(t, open); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
