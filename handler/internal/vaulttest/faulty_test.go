package vaulttest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/handler/internal/vaulttest"
)

func TestFaultyWithoutFaultsKeepsTheContract(t *testing.T) {
	t.Parallel()
	vaulttest.StoreContract(t, func(*testing.T) vault.Store {
		return vaulttest.NewFaulty(new(vaulttest.Memory), func(vaulttest.Call) vaulttest.Fault { return vaulttest.None })
	})
}

// show is the contents as key=document.
func show(c vaulttest.Contents) string {
	s := ""
	for _, row := range c.Rows {
		s += fmt.Sprintf("%s=%s ", row.Key, row.Doc)
	}
	for name, data := range c.Blobs {
		s += fmt.Sprintf("%s=%s ", name, data)
	}
	return s
}

// Each kind of call, on a store with row c:a and blob a/1.
var kinds = map[vaulttest.Kind]struct {
	call  func(ctx context.Context, store vault.Store) error
	after string // contents when it was applied
}{
	vaulttest.Get: {func(ctx context.Context, s vault.Store) error { _, err := s.Get(ctx, "c:a"); return err }, "c:a=1 a/1=pem "},
	vaulttest.Scan: {func(ctx context.Context, s vault.Store) error {
		_, err := s.Scan(ctx, vault.Range{From: "c:", To: "c;", Limit: 1})
		return err
	}, "c:a=1 a/1=pem "},
	vaulttest.Commit: {func(ctx context.Context, s vault.Store) error {
		_, err := s.Commit(ctx, vault.Tx{Actions: []vault.Action{action(vault.Put, "c:a", `2`)}})
		return err
	}, "c:a=2 a/1=pem "},
	vaulttest.PutBlob:    {func(ctx context.Context, s vault.Store) error { return s.PutBlob(ctx, "a/1", []byte("pem")) }, "c:a=1 a/1=pem "},
	vaulttest.GetBlob:    {func(ctx context.Context, s vault.Store) error { _, err := s.GetBlob(ctx, "a/1"); return err }, "c:a=1 a/1=pem "},
	vaulttest.DeleteBlob: {func(ctx context.Context, s vault.Store) error { return s.DeleteBlob(ctx, "a/1") }, "c:a=1 "},
}

func TestFaultsOfEachKind(t *testing.T) {
	t.Parallel()
	const before = "c:a=1 a/1=pem "
	for kind, test := range kinds {
		for _, fault := range []vaulttest.Fault{vaulttest.None, vaulttest.Lost, vaulttest.AppliedButFailed, vaulttest.Late(0), vaulttest.Late(1), vaulttest.Late(3)} {
			m := new(vaulttest.Memory)
			commit(t, m, action(vault.Add, "c:a", `1`))
			if err := m.PutBlob(t.Context(), "a/1", []byte("pem")); err != nil {
				t.Fatal(err)
			}
			m.ResetCalls()
			faulty := vaulttest.NewFaulty(m, vaulttest.Nth(1, fault))
			ctx, end := context.WithCancel(t.Context())
			err := test.call(ctx, faulty)
			end() // a late call does not mind

			doing := fmt.Sprintf("%s, %s", kind, fault)
			if fault == vaulttest.None {
				if err != nil {
					t.Errorf("%s: %v", doing, err)
				}
			} else if !errors.Is(err, vault.ErrUnavailable) {
				t.Errorf("%s: %v, want unavailable", doing, err)
			}
			want := map[vaulttest.Fault]string{vaulttest.None: test.after, vaulttest.AppliedButFailed: test.after}[fault]
			if want == "" {
				want = before
			}
			if got := show(m.Contents()); got != want {
				t.Errorf("%s: the store holds %q, want %q", doing, got, want)
			}
			applied := map[vaulttest.Fault]int{vaulttest.Late(1): 1, vaulttest.Late(3): 3}[fault]
			for call := 1; call <= 3; call++ { // calls of another kind of row
				before := m.Calls()[kind]
				if _, err := faulty.Get(t.Context(), "c:other"); !errors.Is(err, vault.ErrNotFound) {
					t.Errorf("%s: the call after it: %v", doing, err)
				}
				late := m.Calls()[kind] - before
				if kind == vaulttest.Get {
					late--
				}
				if (late == 1) != (call == applied) {
					t.Errorf("%s: %d calls late with call %d after it", doing, late, call)
				}
			}
			faulty.Release()
			faulty.Release() // the second has nothing to apply
			wantEnd := test.after
			if fault == vaulttest.Lost {
				wantEnd = before
			}
			if got := show(m.Contents()); got != wantEnd {
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
	m := new(vaulttest.Memory)
	faulty := vaulttest.NewFaulty(m, func(call vaulttest.Call) vaulttest.Fault {
		if call.Number <= 3 {
			return vaulttest.Late(0)
		}
		return vaulttest.None
	})
	tx := vault.Tx{Actions: []vault.Action{action(vault.Put, "c:a", `1`)}}
	pem := []byte("pem")
	_, _ = faulty.Commit(t.Context(), tx)
	_ = faulty.PutBlob(t.Context(), "a/1", pem)
	_, _ = faulty.Commit(t.Context(), vault.Tx{Actions: []vault.Action{action(vault.Add, "c:b", `1`)}})
	copy(tx.Actions[0].Row.Doc, `9`)
	tx.Actions[0].Row.Key = "c:z"
	copy(pem, "xxx")
	commit(t, faulty, action(vault.Put, "c:b", `2`))
	faulty.Release()
	if got, want := show(m.Contents()), "c:a=1 c:b=2 a/1=pem "; got != want {
		t.Errorf("the store holds %q, want %q", got, want)
	}
}

func TestDecideSeesTheCall(t *testing.T) {
	t.Parallel()
	var got []string
	faulty := vaulttest.NewFaulty(new(vaulttest.Memory), func(call vaulttest.Call) vaulttest.Fault {
		got = append(got, fmt.Sprintf("%d %s | %s", call.Number, call.Key, call))
		return vaulttest.None
	})
	_, _ = faulty.Get(t.Context(), "c:a")
	_, _ = faulty.Scan(t.Context(), vault.Range{From: "c:", To: "c;", Limit: 1})
	commit(t, faulty, action(vault.Add, "c:a", `1`), action(vault.Put, "d:a", `1`))
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
