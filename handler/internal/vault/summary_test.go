package vault_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/vault"
)

// listEntry is what an entry of a list shows, read back from a row's summary. It pins
// the members: lists will read them.
type listEntry struct {
	Name               string
	Version            string
	Enabled            bool
	NotBefore, Expires time.Time
	Created, Updated   time.Time
	Tags               map[string]string
	Thumbprint         []byte
	ContentType        string
	Pending            bool
	Deletion           *vault.Deletion
}

// entryOf is the same of what the API returns.
func entryOf(c vault.Certificate) listEntry {
	a := c.Attributes
	return listEntry{
		c.Name, c.Version, a.Enabled, *a.NotBefore, *a.Expires, a.Created, a.Updated, c.Tags, c.Thumbprint, c.ContentType, c.Pending, c.Deletion,
	}
}

func (h *harness) summaryOf(key string) (e listEntry) {
	h.t.Helper()
	if err := json.Unmarshal(h.mustRow(key).Summary, &e); err != nil {
		h.t.Fatalf("the summary of %s: %v", key, err)
	}
	return e
}

// TestSummaries: rows of certificates, versions and deleted certificates sum up what
// lists show of them, through a whole life.
func TestSummaries(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := t.Context(), name(t, "Web")
	check := func(when string, c vault.Certificate, err error, key string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if diff := cmp.Diff(entryOf(c), h.summaryOf(key)); diff != "" {
			t.Errorf("%s: %s (-API +summary):\n%s", when, key, diff)
		}
	}
	current := func(when string) {
		t.Helper()
		c, err := h.Certificate(ctx, n)
		check(when, c, err, "c:web")
		if c.Leaf == nil {
			return
		}
		versions, _, err := h.Versions(ctx, n, vault.Page{Max: 25})
		for _, v := range versions {
			v.Name, v.Pending = "", false // its row has the version's alone
			check(when, v, err, "v:web:"+v.Version)
		}
	}
	_, err := h.Create(ctx, n, vault.CreateParams{Policy: policyFor("Self"), Tags: map[string]string{"team": "<edge>"}})
	if err != nil {
		t.Fatal(err)
	}
	current("created")
	off := false
	h.clock.Advance(time.Second)
	if _, err := h.UpdateVersion(ctx, n, "", vault.UpdateParams{Tags: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	current("a shell that was updated")
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	current("completed")
	h.mustIssue("Web", vault.CreateParams{})
	current("with a second version")
	if _, err := h.UpdateVersion(ctx, n, "", vault.UpdateParams{Attributes: vault.AttributeParams{Enabled: &off}}); err != nil {
		t.Fatal(err)
	}
	current("disabled")
	backup := h.mustBackup("Web")
	deleted, err := h.Delete(ctx, n)
	check("deleted", deleted, err, "x:web")
	check("deleted", deleted, err, "c:web")
	if err := h.Purge(ctx, n); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Restore(ctx, backup); err != nil {
		t.Fatal(err)
	}
	current("restored")
}

// TestSummaryTooLarge: tags whose summary has no room in its column are stored all
// the same, and listed.
func TestSummaryTooLarge(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	tags := make(map[string]string)
	for i := range 15 {
		tags[fmt.Sprintf("%02d%s", i, strings.Repeat("\U0001F600", 254))] = strings.Repeat("\U0001F600", 256)
	}
	if _, err := h.Create(t.Context(), name(t, "web"), vault.CreateParams{Policy: policyFor("Self"), Tags: tags}); err != nil {
		t.Fatal(err)
	}
	if s := h.mustRow("c:web").Summary; s != nil {
		t.Errorf("the summary has %d bytes", len(s))
	}
	list, _, err := h.Certificates(t.Context(), vault.Page{Max: 25}, true)
	if err != nil || len(list) != 1 || len(list[0].Tags) != 15 {
		t.Errorf("listed are %v (%v)", list, err)
	}
}
