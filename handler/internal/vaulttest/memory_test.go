package vaulttest_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/handler/internal/vaulttest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	vaulttest.StoreContract(t, func(*testing.T) vault.Store { return new(vaulttest.Memory) })
}

func action(verb vault.Verb, key, doc string) vault.Action {
	return vault.Action{Verb: verb, Row: vault.Row{Key: key, Doc: []byte(doc)}}
}

func commit(t *testing.T, store vault.Store, actions ...vault.Action) {
	t.Helper()
	if _, err := store.Commit(t.Context(), vault.Tx{Actions: actions}); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryCountsCalls(t *testing.T) {
	t.Parallel()
	m := new(vaulttest.Memory)
	for i := range 11 {
		var actions []vault.Action
		for j := range vault.MaxActions {
			actions = append(actions, action(vault.Add, fmt.Sprintf("c:%02d%02d", i, j), `1`))
		}
		commit(t, m, actions...)
	}
	want := vaulttest.Calls{vaulttest.Commit: 11}
	if diff := cmp.Diff(want, m.Calls()); diff != "" {
		t.Errorf("calls after 11 commits (-want +got):\n%s", diff)
	}
	m.ResetCalls()
	if diff := cmp.Diff(vaulttest.Calls{}, m.Calls()); diff != "" {
		t.Errorf("calls after a reset (-want +got):\n%s", diff)
	}
	for _, limit := range []int{1, 1000, 1001, 5000} { // 1, 1, 2 and 2 calls
		if _, err := m.Scan(t.Context(), vault.Range{From: "c:", To: "c;", Limit: limit}); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = m.Get(t.Context(), "c:none")
	_, _ = m.Get(t.Context(), "c:im/possible")
	_, _ = m.Commit(t.Context(), vault.Tx{Actions: []vault.Action{action(vault.Add, "c:0000", `1`)}})
	_ = m.PutBlob(t.Context(), "a/1.pem", nil)
	_, _ = m.GetBlob(t.Context(), "a/1.pem")
	_ = m.DeleteBlob(t.Context(), "a/1.pem")
	want = vaulttest.Calls{
		vaulttest.Scan: 6, vaulttest.Get: 1, vaulttest.Commit: 1,
		vaulttest.PutBlob: 1, vaulttest.GetBlob: 1, vaulttest.DeleteBlob: 1,
	}
	if diff := cmp.Diff(want, m.Calls()); diff != "" {
		t.Errorf("calls of each kind (-want +got):\n%s", diff)
	}
	if got := m.Calls().Total(); got != 11 {
		t.Errorf("total of calls: %d, want 11", got)
	}
}

func TestMemoryShowsEveryChange(t *testing.T) {
	t.Parallel()
	var got [][2]string
	m := new(vaulttest.Memory)
	m.OnCommit(func(before, after vaulttest.Contents) { got = append(got, [2]string{show(before), show(after)}) })

	commit(t, m, action(vault.Add, "c:b", `1`), action(vault.Add, "c:a", `1`))
	_, _ = m.Commit(t.Context(), vault.Tx{Actions: []vault.Action{action(vault.Add, "c:a", `2`)}}) // conflict
	if err := m.PutBlob(t.Context(), "a/1.pem", []byte("pem")); err != nil {
		t.Fatal(err)
	}
	commit(t, m, action(vault.Put, "c:a", `2`), action(vault.Remove, "c:b", ``))
	for range 2 { // the second deletes nothing
		if err := m.DeleteBlob(t.Context(), "a/1.pem"); err != nil {
			t.Fatal(err)
		}
	}
	states := []string{
		"",
		"c:a=1 c:b=1 ",
		"c:a=1 c:b=1 a/1.pem=pem ",
		"c:a=2 a/1.pem=pem ",
		"c:a=2 ",
	}
	var want [][2]string
	for i := range states[1:] {
		want = append(want, [2]string{states[i], states[i+1]})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes seen (-want +got):\n%s", diff)
	}
	if got := show(m.Contents()); got != states[4] {
		t.Errorf("contents at the end: %q, want %q", got, states[4])
	}
}

func TestMemoryRefusesOtherDataUnderABlobName(t *testing.T) {
	t.Parallel()
	m := new(vaulttest.Memory)
	if err := m.PutBlob(t.Context(), "a/1.pem", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := m.PutBlob(t.Context(), "a/1.pem", []byte("second")); err == nil {
		t.Error("a blob name was used for two chains without an error")
	}
}
