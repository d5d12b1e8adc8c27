package vault_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/handler/internal/vaulttest"
)

// flow is one call of the API, from the state that prepare makes.
type flow struct {
	name    string
	prepare func(h *harness)
	merges  bool // act is given a certificate for the operation
	act     func(t testing.TB, v *vault.Vault, n vault.Name, x5c []string) error
	// repeated are the reasons with which the same call, sent again, is refused
	// when the first one did happen.
	repeated []vault.Reason
}

var flows = []flow{
	{"create", func(h *harness) { h.mustScript("ca", "issue") }, false, func(t testing.TB, v *vault.Vault, n vault.Name, _ []string) error {
		return second(v.Create(context.Background(), n, vault.CreateParams{Policy: policyFor("ca"), ClientRequestID: "retried"}))
	}, nil},
	{"create the next version", func(h *harness) { h.mustCreate("web", "Self"); h.mustTick() }, false, func(t testing.TB, v *vault.Vault, n vault.Name, _ []string) error {
		return second(v.Create(context.Background(), n, vault.CreateParams{Policy: policyFor("Unknown"), ClientRequestID: "retried"}))
	}, nil},
	{"poll that completes", func(h *harness) { h.mustCreate("web", "Self"); h.clock.Advance(2 * time.Second) }, false, func(t testing.TB, v *vault.Vault, n vault.Name, _ []string) error {
		return second(v.Operation(context.Background(), n, ""))
	}, nil},
	{"tick that completes", func(h *harness) {
		h.mustScript("ca", "issue")
		h.mustCreate("web", "ca")
		h.clock.Advance(2 * time.Second)
	}, false, func(t testing.TB, v *vault.Vault, _ vault.Name, _ []string) error {
		return second(v.Advance(context.Background()))
	}, nil},
	{"tick that fails the request", func(h *harness) {
		h.mustScript("ca", "reject=no")
		h.mustCreate("web", "ca")
		h.clock.Advance(2 * time.Second)
	}, false, func(t testing.TB, v *vault.Vault, _ vault.Name, _ []string) error {
		return second(v.Advance(context.Background()))
	}, nil},
	{"cancel", func(h *harness) { h.mustScript("ca", "hold"); h.mustCreate("web", "ca") }, false, func(t testing.TB, v *vault.Vault, n vault.Name, _ []string) error {
		return second(v.Cancel(context.Background(), n, "", true))
	}, nil},
	{"merge", func(h *harness) { h.mustCreate("web", "Unknown") }, true, func(t testing.TB, v *vault.Vault, n vault.Name, x5c []string) error {
		return second(v.Merge(context.Background(), n, vault.MergeParams{X5C: x5c}))
	}, []vault.Reason{vault.BadParameter}},
	{"delete operation", func(h *harness) { h.mustCreate("web", "Unknown") }, false, func(t testing.TB, v *vault.Vault, n vault.Name, _ []string) error {
		return second(v.DeleteOperation(context.Background(), n, ""))
	}, []vault.Reason{vault.OperationNotFound}},
	{"delete", func(h *harness) { h.mustScript("ca", "hold"); h.mustCreate("web", "ca") }, false, func(t testing.TB, v *vault.Vault, n vault.Name, _ []string) error {
		return second(v.Delete(context.Background(), n))
	}, []vault.Reason{vault.CertificateNotFound}},
	{"recover", mustDelete, false, func(t testing.TB, v *vault.Vault, n vault.Name, _ []string) error {
		return second(v.Recover(context.Background(), n))
	}, []vault.Reason{vault.DeletedNotFound}},
	{"purge", mustDelete, false, func(t testing.TB, v *vault.Vault, n vault.Name, _ []string) error {
		return v.Purge(context.Background(), n)
	}, []vault.Reason{vault.DeletedNotFound}},
}

func mustDelete(h *harness) {
	h.t.Helper()
	h.mustCreate("web", "Self")
	h.mustTick()
	if _, err := h.Delete(context.Background(), name(h.t, "web")); err != nil {
		h.t.Fatal(err)
	}
}

// TestFaultMatrix: every storage call of every operation is lost, or applied and
// reported as failed, or applied only later. The client then sends its request
// again, and ticks come. What comes of it is what would have come without the
// fault; the harness checks the store at every transaction.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	for _, f := range flows {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			want, calls := f.run(t, func(vaulttest.Call) vaulttest.Fault { return vaulttest.None })
			for n := 1; n <= calls; n++ {
				for name, fault := range map[string]vaulttest.Fault{
					"lost":                   vaulttest.Lost,
					"applied, but failed":    vaulttest.AppliedButFailed,
					"late, after a call":     vaulttest.Late(1),
					"late, after three":      vaulttest.Late(3),
					"late, after the answer": vaulttest.Late(0),
				} {
					if got, _ := f.run(t, vaulttest.Nth(n, fault)); got != want {
						t.Errorf("call %d %s: %s; without the fault: %s", n, name, got, want)
					}
				}
			}
			t.Logf("%d calls, 5 faults each: %s", calls, want)
		})
	}
}

// run is the flow with faults, repeated by its client and followed by ticks. It
// returns what came of it, and how many storage calls the first try made.
func (f flow) run(t *testing.T, decide func(vaulttest.Call) vaulttest.Fault) (outcome string, calls int) {
	t.Helper()
	h := newHarness(t, nil)
	f.prepare(h)
	n := name(t, "web")
	var x5c []string
	if f.merges {
		x5c = []string{signed(t, h.mustOperation("web").CSR, 7)}
	}
	before := h.store.Calls().Total()
	faulty := vaulttest.NewFaulty(h.store, decide)
	v := open(t, faulty, h.clock, nil)
	err := f.act(t, v, n, x5c)
	calls = h.store.Calls().Total() - before
	faulty.Release()
	if err != nil {
		if again := f.act(t, v, n, x5c); again != nil && !slices.Contains(f.repeated, reason(t, again)) {
			t.Errorf("%s: first %v, then %v", f.name, err, again)
		}
	}
	for range 3 { // past every lease and back-off
		h.clock.Advance(2 * time.Minute)
		h.mustTick()
	}
	return h.outcome(), calls
}

// outcome is what readers see of the certificate.
func (h *harness) outcome() string {
	ctx, n := context.Background(), name(h.t, "web")
	var s string
	if c, err := h.Certificate(ctx, n); err == nil {
		versions, _, err := h.Versions(ctx, n, vault.Page{Max: 25})
		if err != nil {
			h.t.Error(err)
		}
		s += fmt.Sprintf("certificate with leaf %v of %d versions", c.Leaf != nil, len(versions))
	}
	if op, err := h.Operation(ctx, n, ""); err == nil {
		s += fmt.Sprintf(", operation %s", op.Status)
	}
	if c, err := h.Deleted(ctx, n); err == nil {
		s += fmt.Sprintf("deleted certificate with leaf %v", c.Leaf != nil)
	}
	for _, r := range h.store.Contents().Rows {
		if r.Key[0] == 'r' || r.Key[:4] == "d:0:" {
			s += ", row " + r.Key
		}
	}
	return s
}
