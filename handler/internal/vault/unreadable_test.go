package vault_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestUnreadableRowsStopNothing: rows of every kind that cannot be read stand beside
// others. All lists, the board, ticks of all classes and the upkeep pass over them;
// each is logged once, and shown to operators.
func TestUnreadableRowsStopNothing(t *testing.T) {
	t.Parallel()
	for what, doc := range map[string]string{
		"a newer program's": `{"schema":9,"name":"bad"}`,
		"no object":         `[]`,
		"other types":       `{"schema":2,"name":5,"head":5,"id":5,"sealed":5,"destination":5,"version":5}`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			h, w := newSwept(t)
			id := strings.Repeat("0", 32)
			past := "1000000000000"
			bad := []string{
				"c:bad", "c:webb", "i:bad", "x:bad", "v:web:" + id, "k:bad:" + id, "e:" + id + ":siem", "r:" + id, "w:bad:" + id,
				"d:0:" + past + ":bad:advance", "d:1:" + past + ":bad:renew", "d:2:" + past + ":bad:expired", "d:3:" + past + ":bad:purge",
			}
			for _, key := range bad {
				label := map[string]string{"c:": "certificate open", "x:": "certificate"}[key[:2]]
				h.mustStore(store.Action{Verb: store.Add, Row: store.Row{Key: key, Label: label, Doc: []byte(doc)}})
			}
			var log bytes.Buffer
			v := open(t, h.store, h.clock, w.providers, w.configure, func(c *vault.Config) {
				c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
			})
			for range 2 {
				list, _, err := v.Certificates(ctx, vault.Page{Max: 25}, true)
				if err != nil || !slices.Equal(certificateNames(list), []string{"left", "waiting", "web"}) {
					t.Errorf("certificates are %v (%v)", certificateNames(list), err)
				}
				list, _, err = v.DeletedCertificates(ctx, vault.Page{Max: 25}, true)
				if err != nil || !slices.Equal(certificateNames(list), []string{"gone"}) {
					t.Errorf("deleted certificates are %v (%v)", certificateNames(list), err)
				}
				list, _, err = v.Versions(ctx, name(t, "web"), vault.Page{Max: 25})
				if err != nil || len(list) != 1 {
					t.Errorf("versions are %v (%v)", list, err)
				}
				issuers, _, err := v.Issuers(ctx, vault.Page{Max: 25})
				if err != nil || len(issuers) != 2 {
					t.Errorf("issuers are %v (%v)", issuers, err)
				}
				events, _, err := v.Undelivered(ctx, vault.Page{Max: 25})
				if err != nil || len(events) == 0 {
					t.Errorf("undelivered are %v (%v)", events, err)
				}
				entries, _, err := v.Board(ctx, vault.Page{Max: 25}, vault.BoardFilter{Issuer: "holder"})
				work := make(map[vault.Work]int)
				for _, e := range entries {
					work[e.Work]++
				}
				want := map[vault.Work]int{vault.WorkOperation: 2, vault.WorkRelease: 1, vault.WorkUnreadable: 4}
				if diff := cmp.Diff(want, work); err != nil || diff != "" {
					t.Errorf("on the board (-want +got), %v:\n%s", err, diff)
				}
				if _, err := v.Backup(ctx, name(t, "left")); err == nil {
					t.Error("a shell was backed up")
				}
				if _, err := v.Advance(ctx); err != nil {
					t.Error(err)
				}
				h.clock.Advance(5 * time.Minute)
				if err := v.Maintain(ctx); err != nil {
					t.Error(err)
				}
			}
			for range 4 {
				h.clock.Advance(5 * time.Minute)
				if err := v.Maintain(ctx); err != nil {
					t.Error(err)
				}
			}
			for _, key := range bad {
				if n := strings.Count(log.String(), "row="+key+" "); n > 1 {
					t.Errorf("%s was logged %d times", key, n)
				}
				if r := h.mustRow(key); string(r.Doc) != doc && !strings.HasPrefix(key, "d:") {
					t.Errorf("%s was changed to %s", key, r.Doc)
				}
			}
			var shown []string
			for page := (vault.Page{Max: 3}); ; {
				list, next, err := v.UnreadableRows(ctx, page)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range list {
					if u.Problem == "" {
						t.Errorf("nothing is said of %s", u.Key)
					}
					if !strings.HasPrefix(u.Key, "d:") {
						shown = append(shown, u.Key)
					}
				}
				if page.After = next; next == "" {
					break
				}
			}
			want := slices.DeleteFunc(slices.Sorted(slices.Values(bad)), func(k string) bool { return strings.HasPrefix(k, "d:") })
			if diff := cmp.Diff(want, shown); diff != "" {
				t.Errorf("shown as unreadable (-want +got):\n%s", diff)
			}
		})
	}
}

func certificateNames(list []vault.Certificate) (names []string) {
	for _, c := range list {
		names = append(names, c.Name)
	}
	return names
}

// TestBackupBesideUnreadableRows: a certificate can be backed up whatever is wrong
// with others.
func TestBackupBesideUnreadableRows(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustSelf("web")
	h.mustStore(store.Action{Verb: store.Add, Row: store.Row{Key: "c:wea", Label: "certificate", Doc: []byte(`[]`)}})
	h.mustStore(store.Action{Verb: store.Add, Row: store.Row{Key: "v:wea:" + strings.Repeat("0", 32), Doc: []byte(`[]`)}})
	h.mustBackup("web")
}

// TestPurgeOfUnreadableVersions: a version that cannot be read does not keep its
// certificate from going; one that a newer program wrote does.
func TestPurgeOfUnreadableVersions(t *testing.T) {
	t.Parallel()
	for doc, gone := range map[string]bool{`[]`: true, `{"schema":2,"id":7}`: true, `{"schema":9}`: false} {
		h := newHarness(t, nil)
		h.mustSelf("web")
		h.mustStore(store.Action{Verb: store.Add, Row: store.Row{Key: "v:web:" + strings.Repeat("0", 32), Doc: []byte(doc)}})
		if _, err := h.Delete(t.Context(), name(t, "web")); err != nil {
			t.Fatal(err)
		}
		if err := h.Purge(t.Context(), name(t, "web")); err != nil {
			t.Fatal(err)
		}
		for _, prefix := range []string{"c:", "v:", "k:"} {
			left := slices.ContainsFunc(h.store.Contents().Rows, func(r store.Row) bool { return strings.HasPrefix(r.Key, prefix) })
			if left == gone {
				t.Errorf("with a version %s: rows %s are left: %t", doc, prefix, left)
			}
		}
	}
}

// doubtful is a store of which some rows are not authentic.
type doubtful struct {
	store.Store
	doubts map[string]bool // by key
}

func (s *doubtful) Get(ctx context.Context, key string) (store.Row, error) {
	if s.doubts[key] {
		return store.Row{}, store.ErrNotAuthentic
	}
	return s.Store.Get(ctx, key)
}

func (s *doubtful) Scan(ctx context.Context, r store.Range) ([]store.Row, error) {
	rows, err := s.Store.Scan(ctx, r)
	for i := range rows {
		if s.doubts[rows[i].Key] {
			rows[i].Err = store.ErrNotAuthentic
		}
	}
	return rows, err
}

func (s *doubtful) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	etag, err := s.Store.Commit(ctx, tx)
	for _, a := range tx.Actions {
		if err == nil && a.Verb.Writes() {
			delete(s.doubts, a.Row.Key)
		}
	}
	return etag, err
}

// TestAdoptRow: a row that is not authentic counts for nothing until it is adopted;
// nothing else can be.
func TestAdoptRow(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustSelf("web")
	h.mustStore(store.Action{Verb: store.Put, Row: store.Row{Key: "c:bad", Doc: []byte(`[]`)}})
	s := &doubtful{h.store, map[string]bool{"c:web": true, "c:bad": true}}
	v := open(t, s, h.clock, nil)
	ctx := t.Context()
	if _, err := v.Certificate(ctx, name(t, "web")); !errors.Is(err, store.ErrNotAuthentic) {
		t.Errorf("a certificate whose row is not authentic: %v", err)
	}
	if list, _, err := v.Certificates(ctx, vault.Page{Max: 25}, true); err != nil || len(list) != 0 {
		t.Errorf("listed are %v (%v)", list, err)
	}
	for key, want := range map[string]vault.Reason{
		"c:bad": vault.ActionRefused, "c:gone": vault.ActionRefused, "i:web": vault.ActionRefused,
		"": vault.BadParameter, "z:web": vault.BadParameter, "d:0:0:web:advance": vault.BadParameter,
	} {
		if err := v.AdoptRow(ctx, key); reason(t, err) != want {
			t.Errorf("adopting %q: %v", key, err)
		}
	}
	if err := v.AdoptRow(ctx, "c:web"); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Certificate(ctx, name(t, "web")); err != nil {
		t.Errorf("an adopted certificate: %v", err)
	}
	if err := v.AdoptRow(ctx, "c:web"); reason(t, err) != vault.ActionRefused {
		t.Errorf("adopting what is authentic: %v", err)
	}
}
