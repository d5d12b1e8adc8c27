package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/root"
	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/rootkey/rootkeytest"
	"github.com/certwright/certwright/handler/internal/seal"
	signing "github.com/certwright/certwright/handler/internal/signed"
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

// underRoots are the parts of a vault that knows two roots, of which *id is the current.
func underRoots(t *testing.T, rows store.Store, id *string) func(*vault.Config) {
	t.Helper()
	secrets := []rootkey.Secret{
		{ID: rootkeytest.Root, Value: bytes.Repeat([]byte{7}, rootkey.Size)},
		{ID: newRoot, Value: bytes.Repeat([]byte{8}, rootkey.Size)},
	}
	under := func(current, other rootkey.Secret) func(context.Context) (*rootkey.Keys, error) {
		return rootkeytest.Fixed(t, "test", func(cfg *rootkey.Config) {
			cfg.Current, cfg.Others = current, []rootkey.Secret{other}
		})
	}
	before, after := under(secrets[0], secrets[1]), under(secrets[1], secrets[0])
	keys := func(ctx context.Context) (*rootkey.Keys, error) {
		if *id == newRoot {
			return after(ctx)
		}
		return before(ctx)
	}
	sealer, err := seal.New(seal.Config{VaultID: "test", KEK: new(seal.FileKEK), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signing.New(signing.Config{Store: rows, Partition: "test", Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *vault.Config) {
		c.Store, c.Seal, c.Open = signer, sealer.Seal, sealer.Open
		c.Root = func(context.Context) (string, error) { return *id, nil }
		c.RootsOf = root.RootsOf
	}
}

var newRoot = strings.Repeat("0c", rootkey.Size/2)

// earlier lists the rows that are under another root than the new one.
func (h *harness) earlier() (keys []string) {
	for _, r := range h.store.Contents().Rows {
		if slices.ContainsFunc(root.RootsOf(r), func(id string) bool { return id != newRoot }) {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

// TestOneRootCostsNothing: where the root stays, a vault that knows of roots makes the
// same calls as one that does not, in its first upkeep, when all is done, and when its
// process is another.
func TestOneRootCostsNothing(t *testing.T) {
	t.Parallel()
	var want []int
	for _, rooted := range []bool{false, true} {
		h := newHarness(t, nil)
		h.mustSelf("web")
		var change []func(*vault.Config)
		if rooted {
			change = append(change, underRoots(t, h.store, new(rootkeytest.Root)))
		}
		var got []int
		for range 2 {
			v := open(t, h.store, h.clock, nil, change...)
			for range 3 {
				h.store.ResetCalls()
				if err := v.Maintain(t.Context()); err != nil {
					t.Fatal(err)
				}
				got = append(got, h.store.Calls().Total())
				h.clock.Advance(5 * time.Minute)
			}
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("with a root upkeep takes %v calls, without %v", got, want)
		}
	}
}

// TestProcessLearnsOfNewRoot: a process that has brought everything under a root begins
// again as often as the root is another.
func TestProcessLearnsOfNewRoot(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	current := rootkeytest.Root
	h.Vault = open(t, h.store, h.clock, nil, underRoots(t, h.store, &current))
	h.mustSelf("web")
	for _, current = range []string{rootkeytest.Root, newRoot, rootkeytest.Root, newRoot} {
		for range 3 {
			if err := h.Maintain(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.clock.Advance(time.Hour)
		}
		if m, err := h.Migration(t.Context()); err != nil || m.Ended.IsZero() {
			t.Errorf("under root %s it is %+v (%v)", current, m, err)
		}
		if left := h.earlier(); current == newRoot && len(left) != 0 {
			t.Errorf("under the earlier root are %v", left)
		}
		h.store.ResetCalls()
		if err := h.Maintain(t.Context()); err != nil || h.store.Calls().Total() > 3 {
			t.Errorf("upkeep once it is done takes %v (%v)", h.store.Calls(), err)
		}
	}
}

// TestNewRootLeavesClaims: a head whose operation a worker has claimed comes under a new
// root once the claim has ended, and all else at once.
func TestNewRootLeavesClaims(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "hold")
	h.mustCreate("web", "ca")
	h.mustSelf("other")
	if err := h.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := h.mustRow("c:web")
	r.Doc = regexp.MustCompile(`"claimedUntil":"[^"]*"`).ReplaceAll(r.Doc, fmt.Appendf(nil, `"claimedUntil":%q`, h.clock.Now().Add(90*time.Second).Format(time.RFC3339)))
	h.mustStore(store.Action{Verb: store.Put, Row: r})
	v := open(t, h.store, h.clock, nil, underRoots(t, h.store, new(newRoot)))
	if err := v.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := h.earlier(); !slices.Equal(left, []string{"c:web"}) {
		t.Errorf("as long as web is claimed, under the earlier root are %v", left)
	}
	h.clock.Advance(61 * time.Minute)
	if err := v.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := h.earlier(); len(left) != 0 {
		t.Errorf("after the claim, under the earlier root are %v", left)
	}
}

// TestUnknownRootStopsNothing: a sealed value of a root that there is not, which whoever
// writes storage can make, stops nothing but itself.
func TestUnknownRootStopsNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustSelf("web")
	if err := h.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.store.OnCommit(nil)
	sealed := append([]byte{2}, bytes.Repeat([]byte{0xdd}, 100)...)
	h.mustStore(store.Action{Verb: store.Put, Row: store.NewRow("k:mallory:1", "", map[string]any{"schema": store.Schema, "sealed": sealed})})
	v := open(t, h.store, h.clock, nil, underRoots(t, h.store, new(newRoot)))
	for range 5 {
		if err := v.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(30 * time.Minute)
	}
	if left := h.earlier(); !slices.Equal(left, []string{"k:mallory:1"}) {
		t.Errorf("under another root are %v", left)
	}
	if m, err := v.Migration(t.Context()); err != nil || m.Ended.IsZero() {
		t.Errorf("it is %+v (%v)", m, err)
	}
}
