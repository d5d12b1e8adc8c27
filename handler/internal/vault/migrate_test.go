package vault_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestMigrationEnds: a migration ends with a pass that has met nothing of an older
// form and began ten minutes after something was met last, and when whoever is to
// know has been told; or after a day.
func TestMigrationEnds(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustSelf("web")
	h.mustAge("c:web")
	told, away := 0, errors.New("nobody answers")
	v := open(t, h.store, h.clock, nil, func(c *vault.Config) {
		c.Migrated = func(context.Context) error { told++; return away }
	})
	state := func() vault.Migration {
		t.Helper()
		m, err := v.Migration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	began := h.clock.Now()
	for h.clock.Now().Before(began.Add(15 * time.Minute)) { // an older program writes until then
		if err := v.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.mustAge("c:web")
		h.clock.Advance(time.Minute)
	}
	if m := state(); !m.Ended.IsZero() || m.Total < 2 || told != 0 {
		t.Errorf("while an older program writes it is %+v, and was told of %d times", m, told)
	}
	for range 25 {
		h.clock.Advance(time.Minute)
		_ = v.Maintain(t.Context()) // which fails as long as nobody can be told
	}
	if m := state(); !m.Ended.IsZero() || told == 0 {
		t.Errorf("while nobody can be told it is %+v, and was told of %d times", m, told)
	}
	away = nil
	if err := v.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m := state(); m.Ended.IsZero() || m.Ended.Sub(began) < 25*time.Minute {
		t.Errorf("in the end it is %+v", m)
	}
	if err := h.sound(); err != nil {
		t.Error(err)
	}
}

// TestMigrationEndsAfterADay: also when an older program never stops.
func TestMigrationEndsAfterADay(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustSelf("web")
	for range 26 {
		h.mustAge("c:web")
		h.clock.Advance(time.Hour)
		if err := h.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := h.Migration(t.Context()); err != nil || m.Ended.IsZero() {
		t.Errorf("a day later it is %+v (%v)", m, err)
	}
}

// TestMigrationLeavesClaims: an operation that a worker of an older program has claimed
// is left to it until the claim ends.
func TestMigrationLeavesClaims(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "hold")
	h.mustCreate("web", "ca")
	claim := h.clock.Now().Add(90 * time.Second)
	h.mustAge("c:web")
	r := h.mustRow("c:web")
	r.Doc = []byte(strings.Replace(string(r.Doc), `"claimedUntil":"0001-01-01T00:00:00Z"`, fmt.Sprintf(`"claimedUntil":%q`, claim.Format(time.RFC3339)), 1))
	h.mustStore(store.Action{Verb: store.Put, Row: r})
	etag := h.mustRow("c:web").ETag
	if err := h.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h.mustRow("c:web").ETag != etag {
		t.Error("a claimed head was written")
	}
	for range 3 {
		h.clock.Advance(11 * time.Minute)
		if err := h.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if schema, err := store.SchemaOf(h.mustRow("c:web")); err != nil || schema != store.Schema {
		t.Errorf("after the claim its schema is %d (%v)", schema, err)
	}
	if err := h.sound(); err != nil {
		t.Error(err)
	}
}

// TestMigrationSumsNoForeignChain: a chain blob with another leaf than its version gets
// no sum, which would make it count for good.
func TestMigrationSumsNoForeignChain(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustSelf("web")
	h.mustSelf("other")
	h.store.OnCommit(nil)
	var blobs []string
	for _, n := range []string{"web", "other"} {
		for blob := range h.store.Contents().Blobs {
			if strings.HasPrefix(blob, n+"/") {
				blobs = append(blobs, blob)
			}
		}
	}
	foreign := h.store.Contents().Blobs[blobs[1]]
	if err := errors.Join(h.store.DeleteBlob(t.Context(), blobs[0]), h.store.PutBlob(t.Context(), blobs[0], foreign)); err != nil {
		t.Fatal(err)
	}
	version := "v:web:" + h.mustCertificate("web").Version
	h.mustAge("c:web")
	h.mustAge(version, "chainSum")
	r := h.mustRow("c:web")
	r.Doc = regexp.MustCompile(`"chainSum":"[^"]*",`).ReplaceAll(r.Doc, nil)
	h.mustStore(store.Action{Verb: store.Put, Row: r})
	if err := h.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"c:web", version} {
		r := h.mustRow(key)
		if schema, err := store.SchemaOf(r); err != nil || schema != store.Schema || strings.Contains(string(r.Doc), "chainSum") {
			t.Errorf("%s is %s (%v)", key, r.Doc, err)
		}
	}
}
