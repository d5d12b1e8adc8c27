package vault_test

// Random calls against the model, by one worker and by several.

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// deeds are what somebody may do at any time. Each is made into a call when it
// is done, because some depend on what there is then.
var deeds = map[string]func(w *world, c *client) call{
	"create":              func(w *world, _ *client) call { return create(w.owner(), policy.IssuerSelf) },
	"create for a merge":  func(w *world, _ *client) call { return create(w.owner(), policy.IssuerUnknown) },
	"create at the CA":    func(w *world, _ *client) call { return create(w.owner(), issuing) },
	"create at a quick":   func(w *world, _ *client) call { return create(w.owner(), quick) },
	"create at a refuser": func(w *world, _ *client) call { return create(w.owner(), refusing) },
	"create again":        func(w *world, _ *client) call { return create(w.owner(), "") },
	"import":              func(*world, *client) call { return importCertificate(14, "imported") },
	"merge":               mergeCurrent,
	"tick":                always(tick),
	"poll":                always(poll),
	"advance":             always(advance),
	"give up":             always(giveUp),
	"retry":               func(w *world, _ *client) call { return retry(w.owner()) },
	"get":                 always(get),
	"cancel":              always(cancel),
	"uncancel":            always(uncancel),
	"delete operation":    always(deleteOperation),
	"delete":              always(deleteCertificate),
	"recover":             always(recoverDeleted),
	"purge":               always(purge),
	"a while":             always(pause(3 * time.Second)),
	"a long while":        always(pause(2 * time.Minute)),
}

func always(c call) func(*world, *client) call { return func(*world, *client) call { return c } }

func pause(d time.Duration) call {
	return call{
		name: fmt.Sprintf("%s go by", d),
		run: func(c *client) answer {
			c.clock.Advance(d)
			return answer{}
		},
		moves: func(s state) []move { return stays(s, answer{}) },
	}
}

// owner is a client request id that nobody has used.
func (w *world) owner() string { return fmt.Sprintf("o%d", w.events.Add(1)) }

// mergeCurrent merges a certificate for the operation that there is now.
func mergeCurrent(w *world, c *client) call {
	op := w.watch.state(c.name).Operation
	if op == nil {
		return merge("nobody", 0, "M")
	}
	return call{
		name: "merge for " + op.ClientRequestID,
		run: func(c *client) answer {
			csr, err := x509.ParseCertificateRequest(op.CSR)
			if err != nil {
				return errorAnswer(err)
			}
			der := leaf(csr.PublicKey.(*ecdsa.PublicKey), "M")
			return c.certificate(c.Merge(c.ctx, c.name, vault.MergeParams{X5C: []string{base64.StdEncoding.EncodeToString(der)}}))
		},
		moves: func(s state) []move { return s.merge(op.ClientRequestID, "M") },
	}
}

// TestStateMachine does random deeds to three certificates, one after the other.
// Each does what the model says, and everything ends.
func TestStateMachine(t *testing.T) {
	t.Parallel()
	nothing := startingStates(t)["nothing"]
	rapid.Check(t, func(rt *rapid.T) {
		w := start(t, nothing)
		var clients []*client
		for i, n := range []string{"web", "web-2", "other"} {
			c := w.open(w.store, i)
			c.name = name(t, n)
			clients = append(clients, c)
		}
		actions := map[string]func(*rapid.T){
			"the CA holds":  func(*rapid.T) { w.ca.hold.Store(true) },
			"the CA issues": func(*rapid.T) { w.ca.hold.Store(false) },
		}
		for name, deed := range deeds {
			actions[name] = func(rt *rapid.T) {
				c := clients[rapid.IntRange(0, len(clients)-1).Draw(rt, "certificate")]
				w.do(c, deed(w, c))
				if err := w.check(); err != nil {
					rt.Fatal(err)
				}
				w.rebase()
			}
		}
		rt.Repeat(actions)
		w.ca.hold.Store(false)
		if err := w.settle(); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestConcurrentWorkers has goroutines do random deeds to two certificates at
// once, on stores that fail now and then. Some order of the deeds explains what
// came of them, and everything ends.
func TestConcurrentWorkers(t *testing.T) {
	t.Parallel()
	runs := 100 * *depth
	if raceDetector {
		runs = 20 * *depth
	}
	states := startingStates(t)
	froms := slices.Sorted(maps.Keys(states))
	for run := range runs {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			t.Parallel()
			w := start(t, states[froms[run%len(froms)]])
			var workers sync.WaitGroup
			var stores []*storetest.Faulty
			for worker := 1; worker <= 3; worker++ {
				random := rand.New(rand.NewPCG(uint64(run), uint64(worker)))
				faulted := false
				store := storetest.NewFaulty(w.store, func(storetest.Call) storetest.Fault {
					runtime.Gosched()
					if random.IntN(20) > 0 {
						return storetest.None
					}
					faulted = true
					w.faults.Add(1)
					return []storetest.Fault{storetest.Lost, storetest.AppliedButFailed, storetest.Late(1), storetest.Late(2)}[random.IntN(4)]
				})
				stores = append(stores, store)
				workers.Go(func() {
					c := w.open(store, worker)
					for range 5 {
						c.name = name(t, []string{"web", "web", "other"}[random.IntN(3)])
						deed := slices.Sorted(maps.Keys(deeds))[random.IntN(len(deeds))]
						faulted = false
						r := w.begin(c, deeds[deed](w, c))
						r.answer = r.run(c)
						w.end(r)
						if faulted && r.answer.Reason != 0 {
							r.maybe = true // a refusal may be about the worker's own success
						}
					}
				})
			}
			workers.Wait()
			for _, s := range stores {
				s.Release()
			}
			if err := w.check(); err != nil {
				t.Fatal(err)
			}
			if err := w.settle(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
