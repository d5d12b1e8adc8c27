package vault_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// dueRows are the due rows that are stored, with their labels.
func (h *harness) dueRows() (rows []string) {
	for _, r := range h.store.Contents().Rows {
		if strings.HasPrefix(r.Key, "d:") {
			rows = append(rows, r.Key+" ["+r.Label+"]")
		}
	}
	return rows
}

// mustStore writes past the vault, as older programs and other people do. From then
// on what is stored need not be as this program would have it.
func (h *harness) mustStore(actions ...store.Action) {
	h.t.Helper()
	h.store.OnCommit(nil)
	if _, err := trusted(h.t, h.store).Commit(context.Background(), store.Tx{Actions: actions}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) mustRow(key string) store.Row {
	h.t.Helper()
	r, err := h.store.Get(context.Background(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// mustLose removes the due rows with a prefix.
func (h *harness) mustLose(prefix string) {
	h.t.Helper()
	lost := 0
	for _, r := range h.store.Contents().Rows {
		if strings.HasPrefix(r.Key, prefix) {
			h.mustStore(store.Action{Verb: store.Remove, Row: store.Row{Key: r.Key}})
			lost++
		}
	}
	if lost == 0 {
		h.t.Fatalf("there is no row %s", prefix)
	}
}

// mustAge makes a row one of release 0.1.0: of schema 1, and without members that it
// did not know.
func (h *harness) mustAge(key string, unknown ...string) {
	h.t.Helper()
	r := h.mustRow(key)
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(r.Doc, &doc); err != nil {
		h.t.Fatal(err)
	}
	for _, member := range append(unknown, "dues", "schema") {
		delete(doc, member)
	}
	rest, err := json.Marshal(doc)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Doc, r.Summary = []byte(`{"schema":1,`+strings.TrimPrefix(string(rest), "{")), nil
	h.mustStore(store.Action{Verb: store.Put, Row: r})
}

// sound reports what the store holds otherwise than this program would have it.
func (h *harness) sound() error {
	c := h.store.Contents()
	return vault.Invariants(c.Rows, c.Blobs)
}

// TestPolicyMovesRenewals: a policy that names another issuer takes the due renewal
// with it, whose time stays. It does not wait behind a pause of the old issuer.
func TestPolicyMovesRenewals(t *testing.T) {
	t.Parallel()
	h, _ := newRenewing(t, 90*day)
	h.mustSetIssuer("next", "ca")
	first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	before := h.dueRows()
	if _, err := h.PauseIssuer(t.Context(), issuerName(t, "ca"), time.Time{}, "it is shut down"); err != nil {
		t.Fatal(err)
	}
	to := "next"
	if _, err := h.UpdatePolicy(t.Context(), name(t, "web"), policy.Params{Issuer: &policy.IssuerParams{Name: &to}}); err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(before)
	for i := range want {
		want[i] = strings.Replace(want[i], "[ca]", "[next]", 1)
	}
	if diff := cmp.Diff(want, h.dueRows()); diff != "" || slices.Equal(want, before) {
		t.Errorf("due rows (-want +got):\n%s", diff)
	}
	for range 90 {
		h.clock.Advance(day)
		h.mustTick()
	}
	if now := h.mustCertificate("web"); now.Version == first.Version {
		t.Errorf("%s has expired and was not renewed", now.Version)
	}
}

// TestMissingDueRows: due rows that are not there, though they are on the list of
// their certificate, stand in the way of no change, whatever the store says of the
// conflict.
func TestMissingDueRows(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*vault.Vault, vault.Name) error{
		"cancel": func(v *vault.Vault, n vault.Name) error { return second(v.Cancel(context.Background(), n, "", true)) },
		"create": func(v *vault.Vault, n vault.Name) error {
			if err := second(v.GiveUpOperation(context.Background(), n, "")); err != nil {
				return err
			}
			return second(v.Create(context.Background(), n, vault.CreateParams{}))
		},
		"delete": func(v *vault.Vault, n vault.Name) error { return second(v.Delete(context.Background(), n)) },
	}
	for what, change := range changes {
		for _, told := range []bool{true, false} {
			for _, lost := range []string{"d:0:", "d:2:", "d:"} {
				t.Run(fmt.Sprintf("%s/%s/%t", what, lost, told), func(t *testing.T) {
					t.Parallel()
					h := newHarness(t, nil)
					h.mustIssue("web", vault.CreateParams{Policy: renewed("Self", policy.LifetimeAction{Percentage: 80})})
					h.mustScript("ca", "hold")
					if _, err := h.Create(t.Context(), name(t, "web"), vault.CreateParams{Policy: policyFor("ca")}); err != nil {
						t.Fatal(err)
					}
					h.mustLose(lost)
					h.clock.Advance(3 * time.Second)
					v := open(t, &vague{Store: h.store, told: told}, h.clock, nil)
					if err := change(v, name(t, "web")); err != nil {
						t.Error(err)
					}
					h.clock.Advance(2 * time.Hour)
					if err := v.Maintain(t.Context()); err != nil {
						t.Fatal(err)
					}
					if err := h.sound(); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// vague is a store that may keep to itself which row a conflict is about.
type vague struct {
	store.Store
	told bool
}

func (s *vague) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	etag, err := s.Store.Commit(ctx, tx)
	if _, ok := errors.AsType[*store.ConflictError](err); ok && !s.told {
		return "", &store.ConflictError{}
	}
	return etag, err
}

// TestMissingDueRowOfOtherWork is the same for releases, revocations and
// deliveries.
func TestMissingDueRowOfOtherWork(t *testing.T) {
	t.Parallel()
	h, p := newBoard(t)
	h.mustCreate("left", "holder")
	h.clock.Advance(3 * time.Second)
	h.mustTick()
	if _, err := h.GiveUpOperation(t.Context(), name(t, "left"), ""); err != nil {
		t.Fatal(err)
	}
	h.mustLose("d:0:")
	entries, _, err := h.Board(t.Context(), vault.Page{Max: 10, After: "c:z"}, vault.BoardFilter{})
	if err != nil || len(entries) != 1 {
		t.Fatalf("on the board: %+v (%v)", entries, err)
	}
	p.releaseErr = nil
	e, err := h.AdvanceRelease(t.Context(), name(t, "left"), entries[0].RequestID)
	if err != nil || e.Status != vault.StatusCompleted {
		t.Errorf("the release is %s (%v)", e.Status, err)
	}
	if err := h.sound(); err != nil {
		t.Error(err)
	}
}

// TestDueTimesOfAnotherRelease: due rows at times that this program would not have
// chosen, of a release that worked them out otherwise, are replaced by its own; what
// is left of them belongs to nobody and goes when its time comes.
func TestDueTimesOfAnotherRelease(t *testing.T) {
	t.Parallel()
	for _, aged := range []bool{true, false} {
		h := newHarness(t, nil)
		first := h.mustIssue("web", vault.CreateParams{Policy: renewed("Self", policy.LifetimeAction{Percentage: 80})})
		want := h.dueRows()
		for _, r := range h.store.Contents().Rows {
			if strings.HasPrefix(r.Key, "d:") {
				moved := r
				parts := strings.Split(r.Key, ":")
				moved.Key = fmt.Sprintf("%s:%s:%013d:%s:%s", parts[0], parts[1], h.clock.Now().Add(3*day).UnixMilli(), parts[3], parts[4])
				moved.Doc = []byte(`{"schema":1,"at":"2026-03-04T12:00:02Z","name":"web","kind":"` + parts[4] + `"}`)
				h.mustStore(store.Action{Verb: store.Remove, Row: r}, store.Action{Verb: store.Put, Row: moved})
			}
		}
		if aged {
			h.mustAge("c:web")
		}
		if _, err := h.UpdatePolicy(t.Context(), name(t, "web"), policy.Params{}); err != nil {
			t.Errorf("aged %t: %v", aged, err)
		}
		for range 4 {
			h.clock.Advance(day)
			h.mustTick()
			if err := h.Maintain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if aged {
			if diff := cmp.Diff(want, h.dueRows()); diff != "" {
				t.Errorf("due rows (-want +got):\n%s", diff)
			}
		}
		for range 365 {
			h.clock.Advance(day)
			h.mustTick()
			if err := h.Maintain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if now := h.mustCertificate("web"); now.Version == first.Version {
			t.Errorf("aged %t: it has expired and was not renewed", aged)
		}
		if err := h.sound(); err != nil {
			t.Errorf("aged %t: %v", aged, err)
		}
	}
}

// TestHeadsOfOlderPrograms: a head without the members that this program relies on,
// and without due rows for them, can be changed in every way, and is renewed.
func TestHeadsOfOlderPrograms(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*harness) error{
		"nothing": func(*harness) error { return nil },
		"update": func(h *harness) error {
			return second(h.UpdateVersion(t.Context(), name(t, "web"), "", vault.UpdateParams{Tags: map[string]string{"a": "b"}}))
		},
		"create": func(h *harness) error { return second(h.Create(t.Context(), name(t, "web"), vault.CreateParams{})) },
		"policy": func(h *harness) error { return second(h.UpdatePolicy(t.Context(), name(t, "web"), policy.Params{})) },
		"delete": func(h *harness) error {
			if err := second(h.Delete(t.Context(), name(t, "web"))); err != nil {
				return err
			}
			return second(h.Recover(t.Context(), name(t, "web")))
		},
	}
	for what, change := range changes {
		for _, lost := range [][]string{nil, {"told"}, {"renewal"}, {"told", "renewal"}} {
			h := newHarness(t, nil)
			first := h.mustIssue("web", vault.CreateParams{Policy: renewed("Self", policy.LifetimeAction{Percentage: 80})})
			h.mustAge("c:web", lost...)
			h.mustLose("d:")
			if err := change(h); err != nil {
				t.Errorf("without %v, %s: %v", lost, what, err)
			}
			for range 366 {
				h.clock.Advance(day)
				h.mustTick()
				if err := h.Maintain(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if c := h.mustCertificate("web"); c.Version == first.Version {
				t.Errorf("without %v, %s: it has expired (%s) and was not renewed", lost, what, c.Attributes.Expires)
			}
			if err := h.sound(); err != nil {
				t.Errorf("without %v, %s: %v", lost, what, err)
			}
		}
	}
}

// TestStrayDueRows: due rows that belong to nothing do nothing, and go.
func TestStrayDueRows(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	first := h.mustIssue("web", vault.CreateParams{Policy: renewed("Self", policy.LifetimeAction{Percentage: 80})})
	want := h.dueRows()
	id := strings.Repeat("0", 32)
	for _, stray := range []string{
		"0:%013d:web:advance", "0:%013d:gone:advance", "0:%013d:" + id + ":release", "0:%013d:web:" + id + ":revoke",
		"1:%013d:web:renew", "1:%013d:gone:renew", "1:%013d:web:advance",
		"2:%013d:web:nearexpiry", "2:%013d:web:expired", "2:%013d:" + id + ":siem:deliver",
		"3:%013d:web:purge", "3:%013d:gone:purge", "3:%013d:" + id + ":siem:discard", "3:%013d:web:" + id + ":revoke",
	} {
		key := "d:" + fmt.Sprintf(stray, h.clock.Now().UnixMilli())
		h.mustStore(store.Action{Verb: store.Put, Row: store.Row{Key: key, Label: "Self", Doc: []byte(`{"schema":2,"at":"2026-03-01T12:00:00Z"}`)}})
	}
	h.clock.Advance(3 * time.Minute)
	h.mustTick()
	if diff := cmp.Diff(want, h.dueRows()); diff != "" {
		t.Errorf("due rows (-want +got):\n%s", diff)
	}
	if now := h.mustCertificate("web"); now.Version != first.Version {
		t.Error("it was renewed because a due row said so")
	}
}

// TestWrongLabelIsRepaired: a due row under the label of another issuer gets its own
// back once its work is overdue.
func TestWrongLabelIsRepaired(t *testing.T) {
	t.Parallel()
	h, _ := newRenewing(t, 90*day)
	h.mustSetIssuer("paused", "ca")
	if _, err := h.PauseIssuer(t.Context(), issuerName(t, "paused"), time.Time{}, ""); err != nil {
		t.Fatal(err)
	}
	first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	for _, r := range h.store.Contents().Rows {
		if strings.HasPrefix(r.Key, "d:1:") {
			r.Label = "paused"
			h.mustStore(store.Action{Verb: store.Put, Row: r})
		}
	}
	for range 85 {
		h.clock.Advance(day)
		h.mustTick()
		if err := h.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if now := h.mustCertificate("web"); now.Version == first.Version {
		t.Error("it was not renewed")
	}
}

// TestSweep: due rows of every kind that were lost come back, when what they are
// about is an hour late.
func TestSweep(t *testing.T) {
	t.Parallel()
	h, w := newSwept(t)
	want := h.dueRows()
	for _, kind := range []string{"advance", "release", "revoke", "deliver", "renew", "nearexpiry", "expired", "purge"} {
		if !slices.ContainsFunc(want, func(r string) bool { return strings.Contains(r, ":"+kind+" ") }) {
			t.Errorf("no due row is of the kind %s: %v", kind, want)
		}
	}
	h.mustLose("d:")
	h.clock.Advance(400 * day)
	later := open(t, h.store, h.clock, w.providers, w.configure)
	for range 4 { // each kind of row is a page of its own
		h.clock.Advance(5 * time.Minute)
		if err := later.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, h.dueRows()); diff != "" {
		t.Errorf("due rows (-want +got):\n%s", diff)
	}
}

// TestSweepGoesOn: a sweep whose time is over, because storage is slow and much is
// late, goes on where it stopped, and puts everything back in the end.
func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "hold")
	for i := range 12 {
		h.mustCreate(fmt.Sprint("web", i), "ca")
	}
	if err := h.Maintain(t.Context()); err != nil { // the migration
		t.Fatal(err)
	}
	want := h.dueRows()
	h.mustLose("d:")
	h.clock.Advance(2 * time.Hour)
	v := open(t, &slow{h.store, h.clock}, h.clock, nil)
	var back []int
	for range 8 {
		h.clock.Advance(5 * time.Minute)
		if err := v.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		back = append(back, len(h.dueRows()))
	}
	if diff := cmp.Diff(want, h.dueRows()); diff != "" || !slices.ContainsFunc(back, func(n int) bool { return n > 0 && n < len(want) }) {
		t.Errorf("%d due rows came back by and by; due rows (-want +got):\n%s", back, diff)
	}
}

// slow is a store whose every transaction takes five seconds.
type slow struct {
	store.Store
	clock *clock
}

func (s *slow) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	s.clock.Advance(5 * time.Second)
	return s.Store.Commit(ctx, tx)
}

// TestSweepLeavesAlone: what is not late is not written again, and a sweep is not done
// oftener than every five minutes.
func TestSweepLeavesAlone(t *testing.T) {
	t.Parallel()
	h, _ := newSwept(t)
	before := h.store.Contents()
	h.store.ResetCalls()
	for range 5 {
		if err := h.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(time.Minute)
	}
	after := slices.DeleteFunc(h.store.Contents().Rows, func(r store.Row) bool { return r.Key == "s:sweep" || r.Key == "s:migrate" })
	before.Rows = slices.DeleteFunc(before.Rows, func(r store.Row) bool { return r.Key == "s:sweep" || r.Key == "s:migrate" })
	if diff := cmp.Diff(before.Rows, after); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
	if calls := h.store.Calls(); calls[memory.Scan] != 1 || calls.Total() != 3 {
		t.Errorf("five minutes of upkeep take %v, want one page of the sweep", calls)
	}
}

// sweptWorld is what a vault with due rows of every kind is made of.
type sweptWorld struct {
	providers map[string]provider.Provider
	configure func(*vault.Config)
}

func newSwept(t *testing.T) (*harness, sweptWorld) {
	t.Helper()
	clock := newClock()
	ca := newOrdering(t, clock.Now)
	w := sweptWorld{
		providers: map[string]provider.Provider{"ca": revokingOrder{ca}},
		configure: func(c *vault.Config) {
			c.Destinations = map[string]vault.Destination{"siem": away{}}
		},
	}
	h := newHarnessWith(t, clock, w.providers)
	h.Vault = open(t, h.store, clock, w.providers, w.configure)
	for _, issuer := range []string{"holder", "issuer"} {
		h.mustSetIssuer(issuer, "ca")
	}
	h.mustIssue("web", vault.CreateParams{Policy: renewed("issuer", policy.LifetimeAction{Percentage: 80})})
	h.mustCreate("waiting", "holder")
	h.mustCreate("left", "holder")
	h.mustCreate("gone", "Unknown")
	h.clock.Advance(3 * time.Second)
	h.mustTick()
	if _, err := h.GiveUpOperation(t.Context(), name(t, "left"), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Delete(t.Context(), name(t, "gone")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Revoke(t.Context(), name(t, "web"), h.mustCertificate("web").Version, 1); err != nil {
		t.Fatal(err)
	}
	if err := h.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		h.clock.Advance(5 * time.Minute)
		if err := h.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.clock.Advance(5 * time.Minute)
	return h, w
}

// away is a destination that cannot be reached.
type away struct{}

func (away) Wants(vault.Event) bool                     { return true }
func (away) Deliver(context.Context, vault.Event) error { return errors.New("nobody answers") }

// revokingOrder is a CA that orders, and cannot be reached for revocations.
type revokingOrder struct{ *ordering }

func (revokingOrder) Revoke(context.Context, provider.Issuer, *x509.Certificate, int) error {
	return errors.New("nobody answers")
}
