package vault_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestNewerSchemaIsLeftAlone: what a newer program wrote is neither read nor
// changed, and stands in no one's way.
func TestNewerSchemaIsLeftAlone(t *testing.T) {
	t.Parallel()
	for what, edit := range map[string][2]string{
		"the number first": {`{"schema":1,`, `{"schema":2,`},
		"the number last":  {`{"schema":1,`, `{"name":7,"schema":11,`},
	} {
		h := newHarness(t, nil)
		h.store.OnCommit(nil) // the invariants are this program's
		h.mustCreate("newer", "Self")
		h.mustCreate("ours", "Self")
		row, err := h.store.Get(t.Context(), "c:newer")
		if err != nil {
			t.Fatal(err)
		}
		row.Doc = bytes.Replace(row.Doc, []byte(edit[0]), []byte(edit[1]), 1)
		if _, err := trusted(t, h.store).Commit(t.Context(), store.Tx{Actions: []store.Action{{Verb: store.Put, Row: row}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Certificate(t.Context(), name(t, "newer")); err == nil || !strings.Contains(err.Error(), "schema") {
			t.Errorf("%s: got %v, want an error about the schema", what, err)
		}
		if _, err := h.Delete(t.Context(), name(t, "newer")); err == nil {
			t.Errorf("%s: deleted a certificate that a newer program wrote", what)
		}
		h.clock.Advance(2 * time.Second)
		if report := h.mustTick(); report.Failed != 1 {
			t.Errorf("%s: the tick reports %+v, want one failure", what, report)
		}
		if after, err := h.store.Get(t.Context(), "c:newer"); err != nil || !bytes.Equal(after.Doc, row.Doc) {
			t.Errorf("%s: the row changed (%v)", what, err)
		}
		if op := h.mustOperation("ours"); op.Status != vault.StatusCompleted {
			t.Errorf("%s: our own operation is %s", what, op.Status)
		}
	}
}
