package vault_test

// The version that a request follows.

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

func TestPredecessor(t *testing.T) {
	t.Parallel()
	var got [][]byte
	p := &stepping{}
	p.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		got = append(got, req.Predecessor)
		return nil, issue(t, req)
	}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	h.mustSetIssuer("one", "CA")
	h.mustSetIssuer("other", "CA")
	var leaves [][]byte
	for _, issuer := range []string{"one", "one", "other", "other"} {
		h.mustCreate("web", issuer)
		h.clock.Advance(2 * time.Second)
		h.mustTick()
		c, err := h.Certificate(context.Background(), name(t, "web"))
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, c.Leaf)
	}
	for i, want := range [][]byte{nil, leaves[0], nil, leaves[2]} {
		if !bytes.Equal(got[i], want) {
			t.Errorf("request %d names the predecessor %.8x, want %.8x", i, got[i], want)
		}
	}
}
