package storetest_test

// Each kind of fault, and the contract without any.

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
)

func TestFaultyWithoutFaultsKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.StoreContract(t, func(*testing.T) store.Store {
		return storetest.NewFaulty(new(memory.Store), func(storetest.Call) storetest.Fault { return storetest.None })
	})
}

// Each kind of call, on a store with row c:a and blob a/1.
var kinds = map[memory.Kind]struct {
	call  func(ctx context.Context, store store.Store) error
	after string // contents when it was applied
}{
	memory.Get: {func(ctx context.Context, s store.Store) error { _, err := s.Get(ctx, "c:a"); return err }, "c:a=1 a/1=pem "},
	memory.Scan: {func(ctx context.Context, s store.Store) error {
		_, err := s.Scan(ctx, store.Range{From: "c:", To: "c;", Limit: 1})
		return err
	}, "c:a=1 a/1=pem "},
	memory.Commit: {func(ctx context.Context, s store.Store) error {
		_, err := s.Commit(ctx, store.Tx{Actions: []store.Action{storetest.Action(store.Put, "c:a", `2`)}})
		return err
	}, "c:a=2 a/1=pem "},
	memory.PutBlob:    {func(ctx context.Context, s store.Store) error { return s.PutBlob(ctx, "a/1", []byte("pem")) }, "c:a=1 a/1=pem "},
	memory.GetBlob:    {func(ctx context.Context, s store.Store) error { _, err := s.GetBlob(ctx, "a/1"); return err }, "c:a=1 a/1=pem "},
	memory.DeleteBlob: {func(ctx context.Context, s store.Store) error { return s.DeleteBlob(ctx, "a/1") }, "c:a=1 "},
}

func TestFaultsOfEachKind(t *testing.T) {
	t.Parallel()
	const before = "c:a=1 a/1=pem "
	for kind, test := range kinds {
		for _, fault := range []storetest.Fault{storetest.None, storetest.Lost, storetest.AppliedButFailed, storetest.Late(0), storetest.Late(1), storetest.Late(3)} {
			m := new(memory.Store)
			storetest.MustCommit(t, m, storetest.Action(store.Add, "c:a", `1`))
			if err := m.PutBlob(t.Context(), "a/1", []byte("pem")); err != nil {
				t.Fatal(err)
			}
			m.ResetCalls()
			faulty := storetest.NewFaulty(m, storetest.Nth(1, fault))
			ctx, end := context.WithCancel(t.Context())
			err := test.call(ctx, faulty)
			end() // a late call does not mind

			doing := fmt.Sprintf("%s, %s", kind, fault)
			if fault == storetest.None {
				if err != nil {
					t.Errorf("%s: %v", doing, err)
				}
			} else if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: %v, want unavailable", doing, err)
			}
			want := map[storetest.Fault]string{storetest.None: test.after, storetest.AppliedButFailed: test.after}[fault]
			if want == "" {
				want = before
			}
			if got := storetest.Show(m.Contents()); got != want {
				t.Errorf("%s: the store holds %q, want %q", doing, got, want)
			}
			applied := map[storetest.Fault]int{storetest.Late(1): 1, storetest.Late(3): 3}[fault]
			for call := 1; call <= 3; call++ { // calls of another kind of row
				before := m.Calls()[kind]
				if _, err := faulty.Get(t.Context(), "c:other"); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s: the call after it: %v", doing, err)
				}
				late := m.Calls()[kind] - before
				if kind == memory.Get {
					late--
				}
				if (late == 1) != (call == applied) {
					t.Errorf("%s: %d calls late with call %d after it", doing, late, call)
				}
			}
			faulty.Release()
			faulty.Release() // the second has nothing to apply
			wantEnd := test.after
			if fault == storetest.Lost {
				wantEnd = before
			}
			if got := storetest.Show(m.Contents()); got != wantEnd {
				t.Errorf("%s: in the end the store holds %q, want %q", doing, got, wantEnd)
			}
			if got := faulty.Calls(); got != 4 {
				t.Errorf("%s: %d calls counted, want 4", doing, got)
			}
		}
	}
}

// A late call writes what it was given, not what the caller did with it since,
// and meets the store as it is then.
func TestLateCallAppliesWhatWasAsked(t *testing.T) {
	t.Parallel()
	m := new(memory.Store)
	faulty := storetest.NewFaulty(m, func(call storetest.Call) storetest.Fault {
		if call.Number <= 3 {
			return storetest.Late(0)
		}
		return storetest.None
	})
	tx := store.Tx{Actions: []store.Action{storetest.Action(store.Put, "c:a", `1`)}}
	pem := []byte("pem")
	_, _ = faulty.Commit(t.Context(), tx)
	_ = faulty.PutBlob(t.Context(), "a/1", pem)
	_, _ = faulty.Commit(t.Context(), store.Tx{Actions: []store.Action{storetest.Action(store.Add, "c:b", `1`)}})
	copy(tx.Actions[0].Row.Doc, `9`)
	tx.Actions[0].Row.Key = "c:z"
	copy(pem, "xxx")
	storetest.MustCommit(t, faulty, storetest.Action(store.Put, "c:b", `2`))
	faulty.Release()
	if got, want := storetest.Show(m.Contents()), "c:a=1 c:b=2 a/1=pem "; got != want {
		t.Errorf("the store holds %q, want %q", got, want)
	}
}

func TestDecideSeesTheCall(t *testing.T) {
	t.Parallel()
	var got []string
	faulty := storetest.NewFaulty(new(memory.Store), func(call storetest.Call) storetest.Fault {
		got = append(got, fmt.Sprintf("%d %s | %s", call.Number, call.Key, call))
		return storetest.None
	})
	_, _ = faulty.Get(t.Context(), "c:a")
	_, _ = faulty.Scan(t.Context(), store.Range{From: "c:", To: "c;", Limit: 1})
	storetest.MustCommit(t, faulty, storetest.Action(store.Add, "c:a", `1`), storetest.Action(store.Put, "d:a", `1`))
	_ = faulty.PutBlob(t.Context(), "a/1", nil)
	_, _ = faulty.GetBlob(t.Context(), "a/1")
	_ = faulty.DeleteBlob(t.Context(), "a/1")
	want := []string{
		"1 c:a | get c:a", "2 c: | scan c:", "3 c:a | commit: add c:a, put d:a",
		"4 a/1 | put blob a/1", "5 a/1 | get blob a/1", "6 a/1 | delete blob a/1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls seen (-want +got):\n%s", diff)
	}
}
