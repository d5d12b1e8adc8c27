package signed_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/signed"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
)

var (
	rootA = strings.Repeat("a", 32)
	rootB = strings.Repeat("b", 32)
	now   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func keysOf(t testing.TB, change func(*rootkey.Config)) *rootkey.Keys {
	t.Helper()
	cfg := rootkey.Config{
		Partition: "vault", Installation: rootA,
		Current: rootkey.Secret{ID: rootA, Value: bytes.Repeat([]byte{7}, 32)},
	}
	if change != nil {
		change(&cfg)
	}
	keys, err := rootkey.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// open is a store that signs above rows that an attacker may write.
func open(t testing.TB, rows store.Store, change func(*rootkey.Config)) *signed.Store {
	t.Helper()
	keys := keysOf(t, change)
	partition := "vault"
	if change != nil {
		cfg := rootkey.Config{Partition: partition}
		change(&cfg)
		partition = cfg.Partition
	}
	s, err := signed.New(signed.Config{
		Store: rows, Partition: partition, Now: func() time.Time { return now },
		Keys: func(context.Context) (*rootkey.Keys, error) { return keys, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, st store.Store, rows ...store.Row) {
	t.Helper()
	var tx store.Tx
	for _, r := range rows {
		tx.Put(r)
	}
	if _, err := st.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
}

func raw(t testing.TB, m *memory.Store, key string) store.Row {
	t.Helper()
	row, err := m.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// refused demands that the row counts for nothing, in a get and in a scan, and that
// the scan shows the others.
func refused(t testing.TB, what string, st store.Store, key string) {
	t.Helper()
	if row, err := st.Get(t.Context(), key); !errors.Is(err, store.ErrNotAuthentic) || row.Doc != nil {
		t.Errorf("%s: get returns %q, %v; want ErrNotAuthentic", what, row.Doc, err)
	}
	put(t, st, store.Row{Key: "c:zz", Doc: []byte(`{"schema":1}`)})
	rows, err := st.Scan(t.Context(), store.Range{From: " ", To: "~", Limit: 100})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for _, r := range rows {
		if broken := errors.Is(r.Err, store.ErrNotAuthentic); broken != (r.Key == key) {
			t.Errorf("%s: a scan shows row %q with error %v", what, r.Key, r.Err)
		}
	}
}

func TestKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.SigningStoreContract(t, func(t *testing.T) store.Store { return open(t, new(memory.Store), nil) })
}

// Another implementation, in Python, made the same MACs from the package comment.
func TestMACsAreStable(t *testing.T) {
	t.Parallel()
	m := new(memory.Store)
	put(t, open(t, m, nil), store.Row{Key: "c:web", Label: "certificate", Doc: []byte(`{"schema":1}`), Summary: []byte(`{"n":"ü"}`)})
	row := raw(t, m, "c:web")
	if want := "1:" + rootA + ":Zrl6Gq4dEOCIM5P7lsj3ogQFM-YMPX5XUTQqDASRius"; row.Mac != want {
		t.Errorf("MAC %s, want %s", row.Mac, want)
	}
	if want := "1:" + rootA + ":EoMW-9Io8rieCM_jL3iX50LFHFNHVoLVtALWYufF36I"; row.SummaryMac != want {
		t.Errorf("MAC of the summary %s, want %s", row.SummaryMac, want)
	}
}

// whole is a row whose every part an attacker may alter.
func whole(key string) store.Row {
	return store.Row{Key: key, Label: "certificate", Doc: []byte(`{"schema":1,"n":1}`), Summary: []byte(`{"n":1}`)}
}

func TestRefusesWhatItDidNotWrite(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(r *store.Row){
		"document changed":           func(r *store.Row) { r.Doc = []byte(`{"schema":1,"n":2}`) },
		"document with a space":      func(r *store.Row) { r.Doc = []byte(`{"schema":1,"n":1} `) },
		"label changed":              func(r *store.Row) { r.Label = "deleted" },
		"summary changed":            func(r *store.Row) { r.Summary = []byte(`{"n":2}`) },
		"summary is the document":    func(r *store.Row) { r.Summary, r.SummaryMac = r.Doc, r.Mac },
		"document is the summary":    func(r *store.Row) { r.Doc, r.Mac = r.Summary, r.SummaryMac },
		"summary without a MAC":      func(r *store.Row) { r.SummaryMac = "" },
		"without a MAC":              func(r *store.Row) { r.Mac = "" },
		"without anything":           func(r *store.Row) { r.Mac, r.Summary, r.SummaryMac = "", nil, "" },
		"MAC of another version":     func(r *store.Row) { r.Mac = "2" + r.Mac[1:] },
		"MAC of an unknown root":     func(r *store.Row) { r.Mac = strings.Replace(r.Mac, rootA, rootB, 1) },
		"MAC cut off":                func(r *store.Row) { r.Mac = r.Mac[:len(r.Mac)-4] },
		"MAC of nothing":             func(r *store.Row) { r.Mac = "1:" + rootA + ":" },
		"MAC without a root":         func(r *store.Row) { r.Mac = "1:" + r.Mac[len(r.Mac)-43:] },
		"MAC with stray bits":        func(r *store.Row) { r.Mac = strayBits(r.Mac) },
		"MAC of text":                func(r *store.Row) { r.Mac = "trust me" },
		"empty root, empty key":      func(r *store.Row) { r.Mac = "1::" + r.Mac[len(r.Mac)-43:] },
		"moved to another name":      func(r *store.Row) { r.Key = "c:web2" },
		"moved to another kind":      func(r *store.Row) { r.Key = "v:web" },
		"in capitals":                func(r *store.Row) { r.Key = "c:Web" },
		"moved whole, another vault": func(r *store.Row) { *r = signedElsewhere(t, "vault2") },
	} {
		m := new(memory.Store)
		st := open(t, m, nil)
		put(t, st, whole("c:web"))
		row := raw(t, m, "c:web")
		change(&row)
		put(t, m, row)
		refused(t, what, st, row.Key)
	}
}

func mustScan(t testing.TB, st store.Store) []store.Row {
	t.Helper()
	rows, err := st.Scan(t.Context(), store.Range{From: "c:", To: "c;", Limit: 10})
	if err != nil || len(rows) == 0 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows
}

// signedElsewhere is a row as another vault of the same installation signs it.
func signedElsewhere(t testing.TB, partition string) store.Row {
	t.Helper()
	m := new(memory.Store)
	put(t, open(t, m, func(cfg *rootkey.Config) { cfg.Partition = partition }), whole("c:web"))
	return raw(t, m, "c:web")
}

// strayBits sets the bits of base64 that stand for nothing.
func strayBits(mac string) string {
	last := mac[len(mac)-1]
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return mac[:len(mac)-1] + string(alphabet[strings.IndexByte(alphabet, last)^1])
}

// TestEveryChangeIsRefused alters one byte of a stored row, or moves the borders of
// what is signed.
func TestEveryChangeIsRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := new(memory.Store)
		st := open(t, m, nil)
		key := "c:" + rapid.StringMatching(`[a-z0-9-]{1,20}`).Draw(rt, "name")
		label := rapid.StringMatching(`[a-z ]{0,10}`).Draw(rt, "label")
		put(t, st, store.Row{Key: key, Label: label, Doc: fmt.Appendf(nil, `{"schema":1,"x":%q}`, rapid.StringMatching(`[a-z]{0,20}`).Draw(rt, "text"))})
		row := raw(t, m, key)
		if _, err := st.Get(t.Context(), key); err != nil {
			rt.Fatal(err)
		}
		altered := row
		switch at := rapid.IntRange(0, len(row.Doc)-1).Draw(rt, "at"); rapid.IntRange(0, 2).Draw(rt, "what") {
		case 0:
			doc := bytes.Clone(row.Doc)
			doc[at] ^= 1 << rapid.IntRange(0, 6).Draw(rt, "bit")
			altered.Doc = doc
		case 1:
			altered.Label += string(row.Doc[at%5 : at%5+1])
		default:
			altered.Key += row.Label + "x"
		}
		if (store.Tx{Actions: []store.Action{{Verb: store.Put, Row: altered}}}).Check() != nil {
			rt.Skip("no store holds it")
		}
		put(t, m, altered)
		if got, err := st.Get(t.Context(), altered.Key); !errors.Is(err, store.ErrNotAuthentic) {
			rt.Fatalf("row %+v was accepted: %+v, %v", altered, got, err)
		}
	})
}

// What is not signed is what others authenticate, or what decides nothing.
func TestRowsWithoutMAC(t *testing.T) {
	t.Parallel()
	m := new(memory.Store)
	st := open(t, m, nil)
	for _, key := range []string{"k:web:1", "a:1", "d:0:1:web:advance", "s:heartbeat", "s:root", "s:root:1"} {
		put(t, m, store.Row{Key: key, Doc: []byte(`{"schema":2}`)})
		if _, err := st.Get(t.Context(), key); err != nil {
			t.Errorf("getting %q: %v", key, err)
		}
		put(t, st, store.Row{Key: key, Doc: []byte(`{"schema":1}`)})
		if row := raw(t, m, key); row.Mac != "" {
			t.Errorf("row %q has a MAC", key)
		}
	}
	for _, key := range []string{"c:web", "v:web:1", "x:web", "r:1", "w:web:1", "e:1:x", "i:ca", "t:1", "s:contacts", "s:sweep", "n:vault", "p:1"} {
		put(t, m, store.Row{Key: key, Doc: []byte(`{"schema":1}`)})
		if _, err := st.Get(t.Context(), key); !errors.Is(err, store.ErrNotAuthentic) {
			t.Errorf("getting %q without a MAC: %v, want ErrNotAuthentic", key, err)
		}
	}
}

func TestUnsignedRowsOfTheFirstRelease(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		until  time.Duration
		doc    string
		counts bool
	}{
		{time.Nanosecond, `{"schema":1,"name":"web"}`, true},
		{time.Hour, `{"name":"web","schema":1}`, true},
		{0, `{"schema":1}`, false},
		{-time.Hour, `{"schema":1}`, false},
		{time.Hour, `{"schema":2}`, false},
		{time.Hour, `{"schema":1,"schema":2}`, false},
		{time.Hour, `{"Schema":2}`, false},
		{time.Hour, `{}`, false},
		{time.Hour, `1`, false},
	} {
		m := new(memory.Store)
		st := open(t, m, func(cfg *rootkey.Config) { cfg.UnsignedUntil = now.Add(test.until) })
		put(t, m, store.Row{Key: "c:web", Doc: []byte(test.doc)})
		if _, err := st.Get(t.Context(), "c:web"); (err == nil) != test.counts {
			t.Errorf("%s, unsigned rows count for %v more: %v", test.doc, test.until, err)
		}
		// A MAC that is wrong is not the same as none.
		put(t, m, store.Row{Key: "c:web", Doc: []byte(`{"schema":1}`), Mac: "1:" + rootA + ":" + base64.RawURLEncoding.EncodeToString(make([]byte, 32))})
		refused(t, "wrong MAC while unsigned rows count", st, "c:web")
	}
}

func TestRowsOfAnEarlierRoot(t *testing.T) {
	t.Parallel()
	m := new(memory.Store)
	put(t, open(t, m, nil), whole("c:old"))
	second := func(cfg *rootkey.Config) {
		cfg.Others = []rootkey.Secret{cfg.Current}
		cfg.Current = rootkey.Secret{ID: rootB, Value: bytes.Repeat([]byte{8}, 32)}
	}
	st := open(t, m, second)
	if _, err := st.Get(t.Context(), "c:old"); err != nil {
		t.Errorf("a row of the root before: %v", err)
	}
	put(t, st, whole("c:new"))
	if row := raw(t, m, "c:new"); signed.RootOf(row) != rootB {
		t.Errorf("a new row is signed under %q", signed.RootOf(row))
	}
}

// Another process may have begun a new root.
func TestLooksForNewerKeys(t *testing.T) {
	t.Parallel()
	m := new(memory.Store)
	second := func(cfg *rootkey.Config) {
		cfg.Others = []rootkey.Secret{cfg.Current}
		cfg.Current = rootkey.Secret{ID: rootB, Value: bytes.Repeat([]byte{8}, 32)}
	}
	put(t, open(t, m, second), whole("c:new"))
	var looked atomic.Int32
	old, newer := keysOf(t, nil), keysOf(t, second)
	st, err := signed.New(signed.Config{
		Store: m, Partition: "vault", Now: func() time.Time { return now },
		Keys: func(context.Context) (*rootkey.Keys, error) { return old, nil },
		Refresh: func(context.Context) (*rootkey.Keys, error) {
			looked.Add(1)
			return newer, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, st, whole("c:old"))
	for key, want := range map[string]int32{"c:old": 0, "c:new": 1} {
		looked.Store(0)
		if _, err := st.Get(t.Context(), key); err != nil || looked.Load() != want {
			t.Errorf("getting %q: %v, after %d looks for newer keys, want %d", key, err, looked.Load(), want)
		}
	}
}

func TestWithoutKeysNothingIsAsked(t *testing.T) {
	t.Parallel()
	m := new(memory.Store)
	st, err := signed.New(signed.Config{
		Store: m, Partition: "vault",
		Keys: func(context.Context) (*rootkey.Keys, error) { return nil, errors.New("the key is away") },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for what, call := range map[string]func() error{
		"get":         func() error { _, err := st.Get(ctx, "c:a"); return err },
		"scan":        func() error { _, err := st.Scan(ctx, store.Within("c:", 1)); return err },
		"commit":      func() error { _, err := st.Commit(ctx, store.Tx{}); return err },
		"put blob":    func() error { return st.PutBlob(ctx, "a", nil) },
		"get blob":    func() error { _, err := st.GetBlob(ctx, "a"); return err },
		"delete blob": func() error { return st.DeleteBlob(ctx, "a") },
	} {
		if err := call(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s without keys: %v, want ErrUnavailable", what, err)
		}
	}
	if n := m.Calls().Total(); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

func TestSigningMakesNoCalls(t *testing.T) {
	t.Parallel()
	m := new(memory.Store)
	st := open(t, m, nil)
	put(t, st, whole("c:a"), whole("c:b"))
	mustScan(t, st)
	_, _ = st.Get(t.Context(), "c:a")
	if calls := m.Calls(); calls.Total() != 3 {
		t.Errorf("a commit, a scan and a get made the calls %v", calls)
	}
}

// BenchmarkGet is what a verified read costs above the store in memory, for a head
// of 4.6 KB.
func BenchmarkGet(b *testing.B) {
	m := new(memory.Store)
	st := open(b, m, nil)
	row := whole("c:web")
	row.Doc = fmt.Appendf(nil, `{"schema":1,"x":%q}`, strings.Repeat("x", 4600))
	put(b, st, row)
	for name, s := range map[string]store.Store{"verified": st, "plain": m} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Get(b.Context(), "c:web"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
