package memory_test

// The contract of stores, and what only the store in memory does.

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.StoreContract(t, func(*testing.T) store.Store { return new(memory.Store) })
}

func TestMemoryCountsCalls(t *testing.T) {
	t.Parallel()
	m := new(memory.Store)
	for i := range 11 {
		var actions []store.Action
		for j := range store.MaxActions {
			actions = append(actions, storetest.Action(store.Add, fmt.Sprintf("c:%02d%02d", i, j), `1`))
		}
		storetest.MustCommit(t, m, actions...)
	}
	want := memory.Calls{memory.Commit: 11}
	if diff := cmp.Diff(want, m.Calls()); diff != "" {
		t.Errorf("calls after 11 commits (-want +got):\n%s", diff)
	}
	m.ResetCalls()
	if diff := cmp.Diff(memory.Calls{}, m.Calls()); diff != "" {
		t.Errorf("calls after a reset (-want +got):\n%s", diff)
	}
	for _, limit := range []int{1, 1000, 1001, 5000} { // 1, 1, 2 and 2 calls
		if _, err := m.Scan(t.Context(), store.Range{From: "c:", To: "c;", Limit: limit}); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = m.Get(t.Context(), "c:none")
	_, _ = m.Get(t.Context(), "c:im/possible")
	_, _ = m.Commit(t.Context(), store.Tx{Actions: []store.Action{storetest.Action(store.Add, "c:0000", `1`)}})
	_ = m.PutBlob(t.Context(), "a/1.pem", nil)
	_, _ = m.GetBlob(t.Context(), "a/1.pem")
	_ = m.DeleteBlob(t.Context(), "a/1.pem")
	want = memory.Calls{
		memory.Scan: 6, memory.Get: 1, memory.Commit: 1,
		memory.PutBlob: 1, memory.GetBlob: 1, memory.DeleteBlob: 1,
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
	m := new(memory.Store)
	m.OnCommit(func(before, after memory.Contents) {
		got = append(got, [2]string{storetest.Show(before), storetest.Show(after)})
	})

	storetest.MustCommit(t, m, storetest.Action(store.Add, "c:b", `1`), storetest.Action(store.Add, "c:a", `1`))
	_, _ = m.Commit(t.Context(), store.Tx{Actions: []store.Action{storetest.Action(store.Add, "c:a", `2`)}}) // conflict
	if err := m.PutBlob(t.Context(), "a/1.pem", []byte("pem")); err != nil {
		t.Fatal(err)
	}
	storetest.MustCommit(t, m, storetest.Action(store.Put, "c:a", `2`), storetest.Action(store.Remove, "c:b", ``))
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
	if got := storetest.Show(m.Contents()); got != states[4] {
		t.Errorf("contents at the end: %q, want %q", got, states[4])
	}
}

func TestMemoryRefusesOtherDataUnderABlobName(t *testing.T) {
	t.Parallel()
	m := new(memory.Store)
	if err := m.PutBlob(t.Context(), "a/1.pem", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := m.PutBlob(t.Context(), "a/1.pem", []byte("second")); err == nil {
		t.Error("a blob name was used for two chains without an error")
	}
}
