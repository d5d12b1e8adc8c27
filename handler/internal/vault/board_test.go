package vault_test

// What operators see.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// ordering is a provider that orders, and then waits, fails or issues, as the
// name of the issuer object says.
type ordering struct {
	releasing
	releaseErr error
}

func newOrdering(t *testing.T, now func() time.Time) *ordering {
	p := &ordering{releaseErr: errors.New("the CA is closed")}
	p.step = func(_ context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
		if state == nil {
			return json.RawMessage(`"order-` + req.Certificate + `"`), provider.Pending(time.Time{}, "ordered")
		}
		switch req.Issuer.Name {
		case "refuser":
			return state, provider.Failed(provider.CodeRejected, "no")
		case "issuer":
			return state, issue(t, req)
		case "broken":
			return state, provider.Retry(now().Add(time.Hour), errors.New("connection refused"))
		default:
			return state, provider.Pending(now().Add(time.Hour), "waiting for approval")
		}
	}
	p.release = func(provider.Request, json.RawMessage) error { return p.releaseErr }
	return p
}

func (p *ordering) OrderID(state json.RawMessage) string { return strings.Trim(string(state), `"`) }

// newBoard is a vault with an issuer object for each way of ordering.
func newBoard(t *testing.T) (*harness, *ordering) {
	t.Helper()
	clock := newClock()
	p := newOrdering(t, clock.Now)
	h := newHarnessWith(t, clock, map[string]provider.Provider{"ca": p})
	for _, issuer := range []string{"holder", "refuser", "issuer", "broken"} {
		h.mustSetIssuer(issuer, "CA")
	}
	return h, p
}

// all reads the whole board, page by page.
func (h *harness) all(size int, f vault.BoardFilter) []vault.BoardEntry {
	h.t.Helper()
	var all []vault.BoardEntry
	for after := ""; ; {
		entries, next, err := h.Board(h.t.Context(), vault.Page{After: after, Max: size}, f)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(entries) > size {
			h.t.Errorf("a page of %d has %d entries", size, len(entries))
		}
		all = append(all, entries...)
		if next == "" {
			return all
		}
		if !vault.IsBoardKey(next) || next <= after {
			h.t.Fatalf("after %q the next page begins after %q", after, next)
		}
		after = next
	}
}

// lines are entries in short.
func lines(entries []vault.BoardEntry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, fmt.Sprintf("%s %s %s %s", e.Work, e.Name, e.Issuer, e.Status))
	}
	return all
}

func TestBoard(t *testing.T) {
	t.Parallel()
	h, _ := newBoard(t)
	h.mustCreate("Done", "issuer")
	h.mustCreate("refused", "refuser")
	h.mustCreate("held", "holder")
	h.mustCreate("merge", "Unknown")
	h.mustCreate("gone", "holder")
	h.mustTick()
	h.mustCreate("done", "broken") // a next version
	if _, err := h.Delete(t.Context(), name(t, "gone")); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	everything := []string{
		"operation Done broken inProgress",
		"operation held holder inProgress",
		"operation merge Unknown inProgress",
		"operation refused refuser failed",
		"release refused refuser inProgress",
		"release gone holder inProgress",
	}
	for _, size := range []int{1, 2, 3, 6, 25} {
		got := lines(h.all(size, vault.BoardFilter{}))
		slices.Sort(got[4:])
		slices.Sort(everything[4:]) // by request ids, which are random
		if diff := cmp.Diff(everything, got); diff != "" {
			t.Errorf("in pages of %d (-want +got):\n%s", size, diff)
		}
	}
	h.clock.Advance(time.Hour)
	h.mustCreate("new", "HOLDER")
	for what, test := range map[string]struct {
		filter vault.BoardFilter
		want   []string
	}{
		"failed":              {vault.BoardFilter{Status: vault.StatusFailed}, []string{"operation refused refuser failed"}},
		"of an issuer":        {vault.BoardFilter{Issuer: "Holder", Status: vault.StatusInProgress, StuckFor: time.Minute}, []string{"operation held holder inProgress", "release gone holder inProgress"}},
		"in progress":         {vault.BoardFilter{Status: vault.StatusInProgress, Issuer: "broken"}, []string{"operation Done broken inProgress"}},
		"not for long":        {vault.BoardFilter{Issuer: "holder", StuckFor: 2 * time.Hour}, nil},
		"issuer there is not": {vault.BoardFilter{Issuer: "other"}, nil},
	} {
		if diff := cmp.Diff(test.want, lines(h.all(2, test.filter))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

func TestBoardEntry(t *testing.T) {
	t.Parallel()
	h, _ := newBoard(t)
	ctx, n := t.Context(), name(t, "web")
	created := h.clock.Now()
	op, err := h.Create(ctx, n, vault.CreateParams{Policy: policyFor("broken"), ClientRequestID: "theirs"})
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	want := vault.BoardEntry{
		Work: vault.WorkOperation, Name: "web", RequestID: op.RequestID, ClientRequestID: "theirs",
		Issuer: "broken", Provider: "ca", OrderID: "order-web", Status: vault.StatusInProgress,
		Answer: "connection refused", Attempts: 1, Failures: 1, Created: created,
		Due: h.mustOperation("web").Due,
	}
	got, err := h.OperationEntry(ctx, n, op.RequestID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in progress (-want +got):\n%s", diff)
	}
	// The CA's name for the order stays known after the end.
	if got, err = h.GiveUpOperation(ctx, n, ""); err != nil {
		t.Fatal(err)
	}
	want.Status, want.Due = vault.StatusFailed, time.Time{}
	want.Error = &vault.OperationError{Code: provider.CodeGivenUp, Message: "An operator gave the request up. The last answer of the certificate issuer was: connection refused"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("given up (-want +got):\n%s", diff)
	}
	release, err := h.ReleaseEntry(ctx, n, op.RequestID)
	if err != nil {
		t.Fatal(err)
	}
	want = vault.BoardEntry{
		Work: vault.WorkRelease, Name: "web", RequestID: op.RequestID, ClientRequestID: "theirs",
		Issuer: "broken", Provider: "ca", OrderID: "order-web", Status: vault.StatusInProgress,
		Created: h.clock.Now(), Due: h.clock.Now(),
	}
	if diff := cmp.Diff(want, release); diff != "" {
		t.Errorf("its release (-want +got):\n%s", diff)
	}
	for _, wrong := range []string{"", "x", strings.Repeat("0", 32)} {
		if _, err := h.ReleaseEntry(ctx, n, wrong); reason(t, err) != vault.OperationNotFound {
			t.Errorf("release %q: %v", wrong, err)
		}
	}
	if _, err := h.ReleaseEntry(ctx, name(t, "other"), op.RequestID); reason(t, err) != vault.OperationNotFound {
		t.Errorf("the release by another name: %v", err)
	}
	if _, err := h.OperationEntry(ctx, n, strings.Repeat("0", 32)); reason(t, err) != vault.OperationNotFound {
		t.Errorf("another operation: %v", err)
	}
}

// TestBoardCalls: a page costs one call to storage, what is not on the board
// costs none, and a filter that selects little has a limit.
func TestBoardCalls(t *testing.T) {
	t.Parallel()
	h, _ := newBoard(t)
	count := func(p vault.Page, f vault.BoardFilter) (int, string) {
		t.Helper()
		h.store.ResetCalls()
		_, next, err := h.Board(t.Context(), p, f)
		if err != nil {
			t.Fatal(err)
		}
		return h.store.Calls().Total(), next
	}
	for i := range 60 {
		h.mustCreate(fmt.Sprintf("done-%d", i), "Self")
	}
	h.mustTick()
	if calls, _ := count(vault.Page{Max: 25}, vault.BoardFilter{}); calls != 3 {
		t.Errorf("an empty board takes %d calls, want one for each kind of work", calls)
	}
	for i := range 60 {
		h.mustCreate(fmt.Sprintf("held-%d", i), "holder")
	}
	if calls, _ := count(vault.Page{Max: 25}, vault.BoardFilter{}); calls != 1 {
		t.Errorf("a page takes %d calls, want 1", calls)
	}
	calls, next := count(vault.Page{Max: 1}, vault.BoardFilter{Issuer: "other"})
	if calls != 20 || next == "" {
		t.Errorf("a filter that selects nothing takes %d calls, and the next page begins at %q", calls, next)
	}
}

func TestBoardKeys(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("0", 32)
	for _, key := range []string{"c:web", "c:" + id, "r:" + id, "w:web:" + id} {
		if !vault.IsBoardKey(key) {
			t.Errorf("%q is refused", key)
		}
	}
	for _, key := range []string{"", "c:", "c:a_b", "c:web:" + id, "r:", "r:web", "r:" + id + ":" + id, "w:web", "w:web:x", "w:" + id, "d:0:x", "x:web", "i:ca", "web"} {
		if vault.IsBoardKey(key) {
			t.Errorf("%q is accepted", key)
		}
	}
}
