package golden_test

// Reading and writing again what 0.1.0 wrote loses nothing.

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestWritingKeepsAll changes each document of the fixture to what it says
// already: every member but the time of the change stays, and so does every row.
func TestWritingKeepsAll(t *testing.T) {
	t.Parallel()
	f := readFixture(t)
	w := f.open(t)
	ctx := t.Context()
	before := w.store.Contents()
	for _, n := range f.names(live...) {
		_, err := w.UpdatePolicy(ctx, w.name(n), policy.Params{Enabled: new(true)})
		w.must("updating the policy of "+n, err)
		versions, _, err := w.Versions(ctx, w.name(n), vault.Page{Max: 10})
		w.must("listing versions of "+n, err)
		for _, c := range versions {
			_, err := w.UpdateVersion(ctx, w.name(n), c.Version, vault.UpdateParams{Tags: c.Tags})
			w.must("updating a version of "+n, err)
		}
	}
	for _, n := range ids(before, "i:") {
		_, err := w.UpdateIssuer(ctx, issuerName(t, n), vault.IssuerSet{})
		w.must("updating the issuer "+n, err)
	}
	contacts, err := w.Contacts(ctx)
	w.must("reading contacts", err)
	_, err = w.SetContacts(ctx, contacts)
	w.must("writing contacts", err)
	if written := rewritten(before, w.store.Contents()); written["c:"] != len(f.names(live...)) || written["v:"] != len(ids(before, "v:"))-3 || written["i:"] != len(ids(before, "i:")) || written["s:"] != 1 {
		t.Errorf("documents that were written by kind of row: %v", written) // three versions are of certificates that are going, or coming
	}
	compare(t, before, w.store.Contents(),
		" schema", " dues", "c: latest.schema", // what the second release adds
		"c: policy.schema", "c: operation.policy.schema", // which says that the one subject of several RDNs
		"c:web policy.x509.subject", "c:web operation.policy.x509.subject", // is written the other way round
		"c: writes", "c: policy.updated", "c: latest.updated", "v: updated", "i: updated",
		"i:corp pause") // an update ends a pause that failures began

	before = w.store.Contents()
	for _, u := range w.undelivered() {
		_, err := w.RetryEvent(ctx, vault.Delivery{EventID: u.Event.ID, Destination: u.Destination})
		w.must("retrying an event", err)
	}
	for _, e := range w.board() {
		if e.Work == vault.WorkRelease {
			_, err := w.GiveUpRelease(ctx, w.name(e.Name), e.RequestID)
			w.must("giving up a release", err)
			_, err = w.RetryRelease(ctx, w.name(e.Name), e.RequestID)
			w.must("retrying a release", err)
		}
	}
	for _, id := range ids(before, "w:revoked:") {
		_, err := w.Revoke(ctx, w.name("revoked"), id, 4)
		w.must("revoking again", err)
	}
	if written := rewritten(before, w.store.Contents()); written["e:"] != len(ids(before, "e:")) || written["r:"] != 3 || written["w:"] != 3 {
		t.Errorf("documents that were written by kind of row: %v", written)
	}
	compare(t, before, w.store.Contents(),
		" schema", " dues",
		"d:", // they are due now
		"r: operation.policy.schema",
		"e: began", "e: due", "e: attempts", "e: dead", "r: began", "r: due", "r: failures", "r: givenUp",
		"w: requested", "w: due", "w: status", "w: attempts", "w: failures", "w: answer") // a revocation that was given up begins anew
}

// live are the labels of certificates that a caller sees.
var live = []string{"certificate", "certificate open", "certificate failed", "shell", "shell open", "shell failed"}

// rewritten counts the rows that have another ETag, by the prefix of their keys.
func rewritten(before, after memory.Contents) map[string]int {
	etags, written := make(map[string]store.ETag), make(map[string]int)
	for _, r := range before.Rows {
		etags[r.Key] = r.ETag
	}
	for _, r := range after.Rows {
		if etags[r.Key] != r.ETag {
			written[r.Key[:2]]++
		}
	}
	return written
}

// compare compares all rows but for members that may change: "PREFIX MEMBER", or
// whole rows, "PREFIX".
func compare(t *testing.T, before, after memory.Contents, may ...string) {
	t.Helper()
	list := func(c memory.Contents) (lines []string) {
		for _, r := range c.Rows {
			var doc map[string]any
			if err := json.Unmarshal(r.Doc, &doc); err != nil {
				t.Fatal(err)
			}
			for _, m := range may {
				prefix, member, _ := strings.Cut(m, " ")
				if !strings.HasPrefix(r.Key, prefix) {
					continue
				}
				if member == "" {
					doc = nil
				}
				drop(doc, strings.Split(member, "."))
			}
			if doc == nil {
				continue
			}
			lines = append(lines, fmt.Sprintf("%s [%s]", r.Key, r.Label))
			for _, member := range slices.Sorted(maps.Keys(doc)) {
				text, err := json.Marshal(doc[member])
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, fmt.Sprintf("%s .%s = %s", r.Key, member, text))
			}
		}
		return lines
	}
	if diff := cmp.Diff(list(before), list(after)); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
}

// drop removes a member.
func drop(doc map[string]any, path []string) {
	if len(path) > 1 {
		inner, _ := doc[path[0]].(map[string]any)
		drop(inner, path[1:])
		return
	}
	delete(doc, path[0])
}

func (w *world) undelivered() []vault.Undelivered {
	w.t.Helper()
	list, _, err := w.Undelivered(w.t.Context(), vault.Page{Max: 100})
	w.must("listing undelivered events", err)
	return list
}

func (w *world) board() []vault.BoardEntry {
	w.t.Helper()
	list, _, err := w.Board(w.t.Context(), vault.Page{Max: 100}, vault.BoardFilter{})
	w.must("listing the board", err)
	return list
}
