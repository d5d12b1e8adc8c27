package vault_test

// Every call of the API with every fault of storage.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// faultCases are the operations of the fault matrix: a call, from a state.
func faultCases(t *testing.T) []faultCase {
	states := startingStates(t)
	maps.Copy(states, workStates(t))
	var cases []faultCase
	for from, calls := range map[string][]call{
		"nothing":                  append(configuration, create("one", issuing), create("one", policy.IssuerUnknown), importCertificate(1, "I")),
		"in progress, ca":          {tick, cancel, deleteCertificate, deleteOperation, advance, giveUp},
		"in progress, quick":       {poll},
		"in progress, Self":        {poll, tick},
		"in progress, Unknown":     {merge("start", 0, "A"), cancel, deleteOperation},
		"ordered":                  {tick, cancel, deleteOperation, deleteCertificate, advance, giveUp},
		"cancellation asked for":   {tick, uncancel, deleteOperation, advance},
		"claim ended":              {tick},
		"failed":                   {retry("one"), create("one", issuing), merge("start", 0, "A"), importCertificate(1, "I"), deleteOperation},
		"completed":                append(updates, create("one", issuing), create("one", ""), deleteOperation, deleteCertificate),
		"next version in progress": {tick, deleteCertificate},
		"deleted":                  {recoverDeleted, purge},
		"purging":                  {tick},
		"refused":                  {tick},
		"release":                  {tick, advanceRelease},
		"purge date":               {tick},
		"purged":                   {restore(states["purged"].backup)},
		"restore broken off":       {tick},
	} {
		for _, c := range calls {
			cases = append(cases, faultCase{from, states[from], c})
		}
	}
	return cases
}

// configuration are calls that have nothing to do with certificates.
var configuration = []call{
	unrelated("set an issuer", func(c *client) error {
		provider, password := "Quick", "not a real secret"
		return second(c.SetIssuer(c.ctx, mustIssuerName("another"), vault.IssuerSet{Provider: &provider, Password: &password}))
	}),
	unrelated("update an issuer", func(c *client) error {
		return second(c.UpdateIssuer(c.ctx, mustIssuerName(issuing), vault.IssuerSet{Org: &vault.OrgParams{ID: new("certwright")}}))
	}),
	unrelated("delete an issuer", func(c *client) error {
		return second(c.DeleteIssuer(c.ctx, mustIssuerName(refusing)))
	}),
	unrelated("pause an issuer", func(c *client) error {
		return second(c.PauseIssuer(c.ctx, mustIssuerName(refusing), time.Time{}, "maintenance"))
	}),
	unrelated("resume an issuer", func(c *client) error {
		return second(c.ResumeIssuer(c.ctx, mustIssuerName(refusing)))
	}),
	unrelated("set contacts", func(c *client) error {
		return second(c.SetContacts(c.ctx, []vault.Contact{{Email: "a@example.com"}}))
	}),
}

func unrelated(name string, run func(*client) error) call {
	return call{name: name, run: func(c *client) answer { return errorAnswer(run(c)) }, moves: func(s state) []move { return stays(s, answer{}) }}
}

func mustIssuerName(s string) vault.Name {
	n, err := vault.ParseIssuerName(s)
	if err != nil {
		panic(err)
	}
	return n
}

// updates are calls that change what the model does not know of.
var updates = []call{
	{name: "update the version", moves: state.get, run: func(c *client) answer {
		return c.certificate(c.UpdateVersion(c.ctx, c.name, "", vault.UpdateParams{Tags: map[string]string{"a": "b"}}))
	}},
	{name: "update the policy", moves: state.get, run: func(c *client) answer {
		months := 3
		return c.certificate(c.UpdatePolicy(c.ctx, c.name, policy.Params{X509: &policy.X509Params{ValidityMonths: &months}}))
	}},
}

type faultCase struct {
	from  string
	state snapshot
	call  call
}

// faults are what the matrix does to each call. A late one is applied in the
// middle of what the client's next try, or a tick, does; the last only when
// everybody is done.
var faults = []storetest.Fault{
	storetest.None, storetest.Lost, storetest.AppliedButFailed,
	storetest.Late(1), storetest.Late(2), storetest.Late(3), storetest.Late(5), storetest.Late(0),
}

// TestFaults is the fault matrix: every storage call of every operation is lost,
// applied but reported as failed, or late, and the process goes on or is killed
// there. Then the client sends the same request again and ticks come, as they
// always do. In the end the store holds what it holds without a fault, the
// answers can be explained, and nothing is left over. With -v it prints the
// matrix.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range faultCases(t) {
		t.Run(c.from+", "+c.call.name, func(t *testing.T) {
			t.Parallel()
			want := c.run(t, 0, storetest.None, false)
			if want.err != nil {
				t.Fatalf("without a fault: %v", want.err)
			}
			for n := 1; n <= len(want.trace); n++ {
				came := make(map[string][]string) // faults by what came of them
				call, writes := want.trace[n-1].String(), want.trace[n-1].Kind != memory.Get && want.trace[n-1].Kind != memory.Scan
				for i, fault := range faults {
					for _, killed := range []bool{false, true} {
						switch {
						case fault != storetest.None && fault != storetest.Lost && !writes:
							continue // these are the same to a call that only reads
						case raceDetector && *depth == 1 && i != n%len(faults):
							continue // as in search
						}
						what := fault.String()
						if killed {
							what += " and killed"
						}
						got := c.run(t, n, fault, killed)
						came[got.answers] = append(came[got.answers], what)
						if got.err != nil {
							t.Errorf("call %d, %s: %s: %v", n, call, what, got.err)
						}
						if got.store != want.store && !c.call.repeats {
							t.Errorf("call %d, %s: %s: what the store holds (-without the fault +with it):\n%s", n, call, what, cmp.Diff(want.store, got.store))
						}
					}
				}
				for _, answers := range slices.Sorted(maps.Keys(came)) {
					t.Logf("call %d, %s: %s: %s", n, call, answers, strings.Join(came[answers], ", "))
				}
			}
		})
	}
}

// faultOutcome is what came of an operation with one fault.
type faultOutcome struct {
	trace   []storetest.Call // to the store, of the first try
	answers string           // of the first try and those after it
	store   string           // what it holds in the end
	err     error
}

// run makes the call with a fault at the n-th call to the store, and then what
// a client and ticks do.
func (c faultCase) run(t *testing.T, n int, fault storetest.Fault, killed bool) (o faultOutcome) {
	t.Helper()
	w, trying := start(t, c.state), true
	st := storetest.NewFaulty(w.store, func(call storetest.Call) storetest.Fault {
		if trying {
			o.trace = append(o.trace, call)
		}
		if call.Number != n {
			return storetest.None
		}
		if fault != storetest.None {
			w.faults.Add(1)
		}
		return fault
	})
	var answers []string
	try := func(worker int, store store.Store) bool {
		client := w.open(store, worker)
		r := w.begin(client, c.call)
		ended := make(chan struct{})
		go func() { // which a killed process does not leave
			defer close(ended)
			r.answer = c.call.run(client)
			w.end(r)
		}()
		<-ended
		switch {
		case r.ended == 0:
			answers = append(answers, "none")
		case r.answer.Reason == 0:
			answers = append(answers, "done")
		default:
			answers = append(answers, reasonName(r.answer.Reason))
			// A refusal may be about the caller's own success.
			r.maybe = true
		}
		return r.ended != 0 && r.answer.Reason == 0
	}
	first := store.Store(st)
	if killed {
		first = &mortal{Store: st, calls: n}
	}
	done := try(1, first)
	trying = false
	for worker := 2; !done && worker < 4; worker++ {
		done = try(worker, st)
	}
	o.err = w.settleOn(st)
	if !done { // what stood in its way is gone by now, if it was its own
		try(4, st)
		o.err = errors.Join(o.err, w.settleOn(st))
	}
	st.Release()
	o.err = errors.Join(o.err, w.check(), w.checkSettled())
	o.answers, o.store = strings.Join(answers, ", then "), normalForm(t, w.store.Contents())
	return o
}

func reasonName(r vault.Reason) string {
	text, _, _ := strings.Cut((&vault.Error{Reason: r}).Error(), ` "`)
	return text
}

// mortal is the store of a process that is killed after some calls.
type mortal struct {
	store.Store
	calls int
}

func (m *mortal) live() {
	if m.calls--; m.calls < 0 {
		runtime.Goexit()
	}
}

func (m *mortal) Get(ctx context.Context, key string) (store.Row, error) {
	m.live()
	return m.Store.Get(ctx, key)
}

func (m *mortal) Scan(ctx context.Context, r store.Range) ([]store.Row, error) {
	m.live()
	return m.Store.Scan(ctx, r)
}

func (m *mortal) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	m.live()
	return m.Store.Commit(ctx, tx)
}

func (m *mortal) PutBlob(ctx context.Context, name string, data []byte) error {
	m.live()
	return m.Store.PutBlob(ctx, name, data)
}

func (m *mortal) DeleteBlob(ctx context.Context, name string) error {
	m.live()
	return m.Store.DeleteBlob(ctx, name)
}

// normalForm is what a store holds, without what differs from one time to the
// next: identifiers, keys, signatures, times, and how often a step was tried.
func normalForm(t *testing.T, c memory.Contents) string {
	t.Helper()
	var lines []string
	for _, r := range c.Rows {
		if r.Key == "s:heartbeat" {
			continue
		}
		var doc map[string]any
		if err := json.Unmarshal(r.Doc, &doc); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %s %v", normalKey(r.Key), r.Label, normalValue(doc)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func normalKey(key string) string {
	parts := strings.Split(key, ":")
	for i, p := range parts {
		if len(p) == 32 || len(p) == 13 { // an identifier or a time
			parts[i] = "*"
		}
	}
	return strings.Join(parts, ":")
}

// volatile are the fields that differ in each run, or tell of tries.
var volatile = []string{"writes", "claim", "answer", "failures", "id", "requestId", "keyId", "csr", "leaf", "thumbprint",
	"chain", "chainSum", "sealed", "provisional", "password", "passwordId", "state", "version"}

func normalValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, field := range volatile {
			delete(v, field)
		}
		for name, field := range v {
			v[name] = normalValue(field)
		}
	case []any:
		for i := range v {
			v[i] = normalValue(v[i])
		}
	case string:
		if _, err := time.Parse(time.RFC3339, v); err == nil {
			return "*"
		}
		return normalKey(v) // of a due row
	}
	return v
}
