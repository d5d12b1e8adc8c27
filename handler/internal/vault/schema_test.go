package vault_test

// Rows of a newer program.

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestNewerSchemaIsLeftAlone: what a newer program wrote is neither read nor
// changed, and stands in no one's way.
func TestNewerSchemaIsLeftAlone(t *testing.T) {
	t.Parallel()
	for what, edit := range map[string][2]string{
		"the number first": {`{"schema":2,`, `{"schema":3,`},
		"the number last":  {`{"schema":2,`, `{"name":7,"schema":11,`},
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

// TestNewerWriteIsServed: what only a newer program may rewrite is served, and left as
// it is by every change and by ticks.
func TestNewerWriteIsServed(t *testing.T) {
	t.Parallel()
	h, w := newSwept(t)
	ctx, n := t.Context(), name(t, "web")
	version := h.mustCertificate("web").Version
	var release string
	for _, e := range h.all(10, vault.BoardFilter{}) {
		if e.Work == vault.WorkRelease {
			release = e.RequestID
		}
	}
	var kept []store.Row
	for _, r := range h.store.Contents().Rows {
		if !strings.ContainsAny(r.Key[:1], "cvirwe") {
			continue
		}
		r.Doc = bytes.Replace(r.Doc, []byte(`{"schema":2,`), []byte(`{"schema":2,"write":3,"more":"of it",`), 1)
		h.mustStore(store.Action{Verb: store.Put, Row: r})
		kept = append(kept, h.mustRow(r.Key))
	}
	for what, read := range map[string]func() error{
		"get":        func() error { return second(h.Certificate(ctx, n)) },
		"version":    func() error { return second(h.CertificateVersion(ctx, n, version)) },
		"secret":     func() error { return second(h.Secret(ctx, n, "", nil)) },
		"operation":  func() error { return second(h.OperationEntry(ctx, name(t, "waiting"), "")) },
		"issuer":     func() error { return second(h.Issuer(ctx, issuerName(t, "holder"))) },
		"revocation": func() error { return second(h.Revocation(ctx, n, version)) },
		"release":    func() error { return second(h.ReleaseEntry(ctx, name(t, "left"), release)) },
		"backup":     func() error { return second(h.Backup(ctx, n)) },
	} {
		if err := read(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	events := h.undelivered()
	off := false
	for what, change := range map[string]func() error{
		"update":  func() error { return second(h.UpdateVersion(ctx, n, "", vault.UpdateParams{})) },
		"policy":  func() error { return second(h.UpdatePolicy(ctx, n, policy.Params{})) },
		"create":  func() error { return second(h.Create(ctx, n, vault.CreateParams{})) },
		"delete":  func() error { return second(h.Delete(ctx, n)) },
		"cancel":  func() error { return second(h.Cancel(ctx, name(t, "waiting"), "", true)) },
		"recover": func() error { return second(h.Recover(ctx, name(t, "gone"))) },
		"purge":   func() error { return h.Purge(ctx, name(t, "gone")) },
		"give up": func() error { return second(h.GiveUpRelease(ctx, name(t, "left"), release)) },
		"issuer": func() error {
			return second(h.UpdateIssuer(ctx, issuerName(t, "holder"), vault.IssuerSet{Enabled: &off}))
		},
		"pause":          func() error { return second(h.PauseIssuer(ctx, issuerName(t, "holder"), time.Time{}, "")) },
		"deleted issuer": func() error { return second(h.DeleteIssuer(ctx, issuerName(t, "holder"))) },
		"revoke":         func() error { return second(h.Revoke(ctx, n, version, 4)) },
		"event": func() error {
			return second(h.RetryEvent(ctx, vault.Delivery{EventID: events[0].Event.ID, Destination: events[0].Destination}))
		},
	} {
		if err := change(); reason(t, err) != vault.Unavailable {
			t.Errorf("%s: %v, want what is 503", what, err)
		}
	}
	h.clock.Advance(2 * time.Hour)
	v := open(t, h.store, h.clock, w.providers, w.configure)
	if report, err := v.Advance(ctx); err != nil || report.Failed == 0 {
		t.Errorf("the tick reports %+v (%v)", report, err)
	}
	if err := v.Maintain(ctx); err != nil {
		t.Error(err)
	}
	for _, r := range kept {
		if got := h.mustRow(r.Key); got.ETag != r.ETag {
			t.Errorf("%s was rewritten", r.Key)
		}
	}
}
