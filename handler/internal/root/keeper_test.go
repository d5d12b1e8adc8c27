package root_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/root"
	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/seal/kektest"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func fileKEK(t testing.TB, b byte) *seal.FileKEK {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	kek, err := seal.NewFileKEK(path)
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

// process is a keeper as a fresh process has it.
func process(t testing.TB, rows store.Store, kek seal.KEK, c *clock, change func(*root.Config)) *root.Keeper {
	t.Helper()
	cfg := root.Config{Store: rows, KEK: kek, Partition: "vault", Now: c.Now}
	if change != nil {
		change(&cfg)
	}
	k, err := root.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keysOf(t testing.TB, k *root.Keeper) *rootkey.Keys {
	t.Helper()
	keys, err := k.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// sameKeys compares what two processes sign with.
func sameKeys(a, b *rootkey.Keys) bool {
	return a.Current() == b.Current() && bytes.Equal(a.Row(a.Current()), b.Row(b.Current())) && bytes.Equal(a.Backup(a.Current()), b.Backup(b.Current()))
}

// put writes rows past everything, as an attacker does.
func put(t testing.TB, rows store.Store, all ...store.Row) {
	t.Helper()
	var tx store.Tx
	for _, r := range all {
		r.ETag = ""
		tx.Put(r)
	}
	if _, err := rows.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, rows store.Store, key string) store.Row {
	t.Helper()
	r, err := rows.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantAdvice demands an error that tells somebody what to do.
func wantAdvice(t testing.TB, what string, err error, text string) {
	t.Helper()
	e, ok := errors.AsType[*store.NotReadyError](err)
	if !ok || !strings.Contains(e.Advice, text) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%s: got %v, want advice with %q", what, err, text)
	}
}

func TestFirstProcessMakesTheRoot(t *testing.T) {
	t.Parallel()
	rows, kek, c := new(memory.Store), fileKEK(t, 1), newClock()
	put(t, rows, store.Row{Key: "s:heartbeat", Doc: []byte(`{"schema":1}`)}, store.Row{Key: "d:0:1:web:advance", Doc: []byte(`{"schema":1}`)})
	first := process(t, rows, kek, c, nil)
	keys := keysOf(t, first)
	if keys.AcceptUnsigned(c.Now()) {
		t.Error("in a new installation rows without MACs count")
	}
	rows.ResetCalls()
	second := process(t, rows, kek, c, nil)
	if !sameKeys(keys, keysOf(t, second)) {
		t.Error("the second process has other keys")
	}
	for range 100 {
		keysOf(t, second)
	}
	if calls := rows.Calls(); calls.Total() != 1 || calls[memory.Scan] != 1 {
		t.Errorf("the second process made the calls %v, want one scan", calls)
	}
	doc := string(get(t, rows, "s:root").Doc)
	if !strings.HasPrefix(doc, `{"schema":2,`) {
		t.Errorf("the root is stored as %s", doc)
	}
	contents := rows.Contents()
	if copied := contents.Blobs["root/"+keys.Current()+".json"]; string(copied) != doc {
		t.Errorf("the copy is %s, want %s", copied, doc)
	}
}

func TestManyProcessesAgree(t *testing.T) {
	t.Parallel()
	rows, kek, c := new(memory.Store), fileKEK(t, 1), newClock()
	all := make([]*rootkey.Keys, 8)
	var wg sync.WaitGroup
	for i := range all {
		k := process(t, rows, kek, c, nil)
		wg.Go(func() {
			var err error
			if all[i], err = k.Keys(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, keys := range all {
		if keys == nil || !sameKeys(keys, all[0]) {
			t.Fatal("processes that began at once have different keys")
		}
	}
}

// alter changes members of the stored root.
func alter(t testing.TB, row store.Row, change func(map[string]any)) store.Row {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(row.Doc, &members); err != nil {
		t.Fatal(err)
	}
	change(members)
	var err error
	if row.Doc, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return row
}

// TestForgedRoots: a root that a writer of storage makes with the public half of the
// KEK is not believed.
func TestForgedRoots(t *testing.T) {
	t.Parallel()
	v := kektest.New(t)
	c := newClock()
	rows := new(memory.Store)
	keysOf(t, process(t, rows, v.KEK(t, kektest.Key, nil), c, nil))
	other := new(memory.Store) // another installation with the same KEK
	keysOf(t, process(t, other, v.KEK(t, kektest.Key, nil), c, func(cfg *root.Config) { cfg.Partition = "other" }))

	mine := bytes.Repeat([]byte{66}, 32)
	kid, wrapped, err := v.KEK(t, kektest.Key, nil).Wrap(t.Context(), readerOf(1), mine) // takes the public half alone
	if err != nil {
		t.Fatal(err)
	}
	genuine := get(t, rows, "s:root")
	for what, change := range map[string]func(map[string]any){
		"another secret":                  func(m map[string]any) { m["wrapped"], m["kek"] = wrapped, kid },
		"without a signature":             func(m map[string]any) { m["wrapped"] = wrapped; delete(m, "signature") },
		"a later end of unsigned rows":    func(m map[string]any) { m["unsignedUntil"] = "2099-01-01T00:00:00Z" },
		"another id":                      func(m map[string]any) { m["id"] = strings.Repeat("a", 32) },
		"another installation":            func(m map[string]any) { m["installation"] = strings.Repeat("a", 32) },
		"another time":                    func(m map[string]any) { m["created"] = "2020-01-01T00:00:00Z" },
		"another key":                     func(m map[string]any) { m["kek"] = "https://evil.example.com/keys/master/" + kektest.Version1 },
		"an id that is not one":           func(m map[string]any) { m["id"] = "../x" },
		"a schema that nobody knows":      func(m map[string]any) { m["schema"] = 3 },
		"another installation's, whole":   nil,
		"an id that is not one, in words": func(m map[string]any) { m["id"] = 7 },
	} {
		row := get(t, other, "s:root")
		if change != nil {
			row = alter(t, genuine, change)
		}
		put(t, rows, row)
		k := process(t, rows, v.KEK(t, kektest.Key, nil), c, nil)
		if _, err := k.Keys(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		} else if e, ok := errors.AsType[*store.NotReadyError](err); !ok || strings.Contains(e.Advice, "accept-unsigned") {
			t.Errorf("%s: %v, want advice to put the root back", what, err)
		}
	}

	// A process that has opened the genuine one goes on.
	put(t, rows, genuine)
	k := process(t, rows, v.KEK(t, kektest.Key, nil), c, nil)
	keys := keysOf(t, k)
	put(t, rows, alter(t, genuine, func(m map[string]any) { m["unsignedUntil"] = "2099-01-01T00:00:00Z" }))
	c.forward(56 * time.Minute)
	if again := keysOf(t, k); !sameKeys(keys, again) || again.AcceptUnsigned(c.Now()) {
		t.Error("a forged root took the place of the opened one")
	}
}

// readerOf is a source of bytes that are all the same.
type readerOf byte

func (r readerOf) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

func TestRootThatWasDeleted(t *testing.T) {
	t.Parallel()
	rows, kek, c := new(memory.Store), fileKEK(t, 1), newClock()
	keys := keysOf(t, process(t, rows, kek, c, nil))
	signed := store.Row{Key: "c:web", Doc: []byte(`{"schema":1}`), Mac: "1:" + keys.Current() + ":AAAA"}
	put(t, rows, signed)
	drop := func() {
		var tx store.Tx
		tx.Remove("s:root")
		if _, err := rows.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
	drop()
	if !sameKeys(keys, keysOf(t, process(t, rows, kek, c, nil))) {
		t.Error("the root was not brought back from its copy")
	}
	get(t, rows, "s:root")

	drop()
	blob := "root/" + keys.Current() + ".json"
	copied := rows.Contents().Blobs[blob]
	for what, text := range map[string][]byte{"gone": nil, "forged": bytes.Replace(copied, []byte(`"created":"2026`), []byte(`"created":"2025`), 1), "garbage": []byte("{")} {
		if err := rows.DeleteBlob(t.Context(), blob); err != nil {
			t.Fatal(err)
		}
		if text != nil {
			if err := rows.PutBlob(t.Context(), blob, text); err != nil {
				t.Fatal(err)
			}
		}
		for _, adopt := range []bool{false, true} {
			_, err := process(t, rows, kek, c, func(cfg *root.Config) { cfg.Adopt = adopt }).Keys(t.Context())
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("the copy is %s: %v, want ErrUnavailable", what, err)
			}
		}
	}
	if _, err := rows.Get(t.Context(), "s:root"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another root was made: %v", err)
	}
}

func TestCopyIsMended(t *testing.T) {
	t.Parallel()
	rows, kek, c := new(memory.Store), fileKEK(t, 1), newClock()
	keys := keysOf(t, process(t, rows, kek, c, nil))
	blob, want := "root/"+keys.Current()+".json", string(get(t, rows, "s:root").Doc)
	for _, text := range []string{"", "garbage"} {
		if err := rows.DeleteBlob(t.Context(), blob); err != nil {
			t.Fatal(err)
		}
		if text != "" {
			if err := rows.PutBlob(t.Context(), blob, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := process(t, rows, kek, c, nil).Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := string(rows.Contents().Blobs[blob]); got != want {
			t.Errorf("the copy is %q, want %q", got, want)
		}
	}
}

func TestRowsWithoutARoot(t *testing.T) {
	t.Parallel()
	c, kek := newClock(), fileKEK(t, 1)
	old := store.Row{Key: "c:web", Doc: []byte(`{"schema":1}`)}
	rows := new(memory.Store)
	put(t, rows, old)
	k := process(t, rows, kek, c, nil)
	for range 2 {
		_, err := k.Keys(t.Context())
		wantAdvice(t, "rows without a root", err, "handler migrate --accept-unsigned")
	}
	if err := k.Adopt(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.forward(time.Minute)
	keys := keysOf(t, k)
	if !keys.AcceptUnsigned(c.Now().Add(root.AdoptFor-2*time.Minute)) || keys.AcceptUnsigned(c.Now().Add(root.AdoptFor)) {
		t.Error("adopted rows must count for a day")
	}
	if err := k.Adopt(t.Context()); err != nil || !sameKeys(keys, keysOf(t, process(t, rows, kek, c, nil))) {
		t.Errorf("a second adoption made another root, or: %v", err)
	}

	if err := k.EndAdoption(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keysOf(t, process(t, rows, kek, c, nil)).AcceptUnsigned(c.Now()) {
		t.Error("rows without MACs count after the end of the adoption")
	}
	c.forward(31 * time.Minute) // a process that was there before sees it
	keysOf(t, k)
	for deadline := time.Now().Add(10 * time.Second); keysOf(t, k).AcceptUnsigned(c.Now()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a running process does not see the end of the adoption")
		}
	}
	if !sameKeys(keys, keysOf(t, k)) {
		t.Error("the end of the adoption changed the keys")
	}

	development := new(memory.Store)
	put(t, development, old)
	if !keysOf(t, process(t, development, kek, c, func(cfg *root.Config) { cfg.Adopt = true })).AcceptUnsigned(c.Now()) {
		t.Error("a development installation does not adopt its rows")
	}
}

// sealedV1 is a value that another file key, of 32 bytes 7, sealed in 0.1.0.
const sealedV1 = "AQAVZmlsZTo5MmRhYTlmY2UwYjk1MGViADwsLS4vMDEyMzQ1NjcBfVFV1WdKGKyQLi6Gitfiv66vUKEJQaBhMLMOhpU5IPQ/ZqlP1oH4e/oNj/LO4U0gISIjJCUmJygpKiuhX8UCCexu/1AjDQUgIaqaCsQCDyqR"

func TestLostKeyEncryptionKey(t *testing.T) {
	t.Parallel()
	c := newClock()
	rows := new(memory.Store)
	keysOf(t, process(t, rows, fileKEK(t, 1), c, nil))
	_, err := process(t, rows, fileKEK(t, 2), c, nil).Keys(t.Context())
	wantAdvice(t, "another file", err, "Put it back.")

	old := new(memory.Store) // 0.1.0 wrote it, before there were roots
	put(t, old, store.Row{Key: "k:web:1", Doc: []byte(`{"schema":1,"sealed":"` + sealedV1 + `"}`)})
	_, err = process(t, old, fileKEK(t, 2), c, func(cfg *root.Config) { cfg.Adopt = true }).Keys(t.Context())
	wantAdvice(t, "another file than 0.1.0 had", err, "Put it back.")
	if _, err := old.Get(t.Context(), "s:root"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a root was made all the same: %v", err)
	}
}

func TestOutageOfTheKeyVault(t *testing.T) {
	t.Parallel()
	v, c, rows := kektest.New(t), newClock(), new(memory.Store)
	opened := process(t, rows, v.KEK(t, kektest.Key, c.Now), c, nil)
	keys := keysOf(t, opened)
	v.Set(func() { v.Status = http.StatusNotImplemented }) // a 5xx that the SDK does not retry
	fresh := process(t, rows, v.KEK(t, kektest.Key, c.Now), c, nil)
	_, err := fresh.Keys(t.Context())
	if _, advised := errors.AsType[*store.NotReadyError](err); !errors.Is(err, store.ErrUnavailable) || advised {
		t.Errorf("without the vault: %v, want an ErrUnavailable that passes by itself", err)
	}
	asked := v.Count("")
	if _, err := fresh.Keys(t.Context()); err == nil || v.Count("") != asked {
		t.Errorf("right after a failure: %v, and %d more requests", err, v.Count("")-asked)
	}
	for range 5 { // silence is no answer
		c.forward(56 * time.Minute)
		if !sameKeys(keys, keysOf(t, opened)) {
			t.Error("the keys changed")
		}
	}
	v.Set(func() { v.Status = 0 })
	c.forward(3 * time.Second)
	if !sameKeys(keys, keysOf(t, fresh)) {
		t.Error("after the outage: other keys")
	}
}

func TestDefiniteAnswersEndTheUseOfARoot(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		deny   func(*kektest.KeyVault)
		advice string
	}{
		"disabled":  {func(v *kektest.KeyVault) { v.Disabled = true }, "denied"},
		"forbidden": {func(v *kektest.KeyVault) { v.Status = http.StatusForbidden }, "denied"},
		"gone":      {func(v *kektest.KeyVault) { v.Status = http.StatusNotFound }, "Put it back."},
	} {
		v, c, rows := kektest.New(t), newClock(), new(memory.Store)
		k := process(t, rows, v.KEK(t, kektest.Key, c.Now), c, nil)
		keys := keysOf(t, k)
		v.Set(func() { test.deny(v) })
		c.forward(29 * time.Minute)
		keysOf(t, k)
		c.forward(26 * time.Minute)
		_, err := k.Keys(t.Context())
		wantAdvice(t, what+", at once", err, test.advice)
		c.forward(3 * time.Second) // what the vault said before does not count
		_, err = k.Keys(t.Context())
		wantAdvice(t, what+", when tried again", err, test.advice)
		v.Set(func() { v.Disabled, v.Status = false, 0 })
		c.forward(3 * time.Second)
		if !sameKeys(keys, keysOf(t, k)) {
			t.Errorf("%s, and then allowed again: other keys", what)
		}
	}
}

func TestRewrap(t *testing.T) {
	t.Parallel()
	v, c, rows := kektest.New(t), newClock(), new(memory.Store)
	keys := keysOf(t, process(t, rows, v.KEK(t, kektest.Key, nil), c, nil))
	if n, err := process(t, rows, v.KEK(t, kektest.Key, nil), c, nil).Rewrap(t.Context()); n != 0 || err != nil {
		t.Errorf("with the same version: %d, %v", n, err)
	}
	v.Set(func() { v.Versions[kektest.Version2], v.Current = kektest.Keys()[1], kektest.Version2 })
	if n, err := process(t, rows, v.KEK(t, kektest.Key, nil), c, nil).Rewrap(t.Context()); n != 1 || err != nil {
		t.Fatalf("with a new version: %d, %v", n, err)
	}
	v.Set(func() { delete(v.Versions, kektest.Version1) })
	if !sameKeys(keys, keysOf(t, process(t, rows, v.KEK(t, kektest.Key, nil), c, nil))) {
		t.Error("after a rewrap: other keys")
	}
	contents := rows.Contents()
	if string(contents.Blobs["root/"+keys.Current()+".json"]) != string(get(t, rows, "s:root").Doc) {
		t.Error("the copy is not what the row is")
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	rows, kek, c := new(memory.Store), fileKEK(t, 1), newClock()
	running := process(t, rows, kek, c, nil)
	before := keysOf(t, running)
	id, err := process(t, rows, kek, c, nil).Rotate(t.Context())
	if err != nil || id == before.Current() {
		t.Fatalf("a new root %q, %v", id, err)
	}
	after := keysOf(t, process(t, rows, kek, c, nil))
	if after.Current() != id || !bytes.Equal(after.Row(before.Current()), before.Row(before.Current())) {
		t.Error("what was written before the rotation does not count")
	}
	if keys, err := running.Refresh(t.Context()); err != nil || !sameKeys(keys, after) {
		t.Errorf("a running process does not find the new root: %v", err)
	}
	calls := rows.Calls().Total()
	for range 10 { // rows name roots, and anybody may write rows
		if _, err := running.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := rows.Calls().Total() - calls; n != 0 {
		t.Errorf("10 looks at once made %d calls", n)
	}
	value := append(append([]byte{2}, bytes.Repeat([]byte{0xaa}, 16)...), make([]byte, 60)...)
	if sealed, err := hex.DecodeString(before.Current()); err == nil {
		copy(value[1:], sealed)
	}
	c.forward(59 * time.Minute)
	if err := process(t, rows, kek, c, nil).Forget(t.Context(), before.Current()); err == nil || !strings.Contains(err.Error(), "may not know it yet") {
		t.Errorf("forgetting a root that a process may still write under: %v", err)
	}
	c.forward(time.Minute)
	for _, used := range []store.Row{
		{Key: "c:web", Doc: []byte(`{}`), Mac: "1:" + before.Current() + ":AA"},
		{Key: "k:web:1", Doc: []byte(`{"sealed":"` + base64.StdEncoding.EncodeToString(value) + `"}`)},
	} {
		put(t, rows, used)
		if err := process(t, rows, kek, c, nil).Forget(t.Context(), before.Current()); err == nil || !strings.Contains(err.Error(), "1 rows are signed or sealed under") {
			t.Errorf("forgetting a root that row %q needs: %v", used.Key, err)
		}
		var tx store.Tx
		tx.Remove(used.Key)
		if _, err := rows.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
	if err := process(t, rows, kek, c, nil).Forget(t.Context(), before.Current()); err != nil {
		t.Fatal(err)
	}
	last := keysOf(t, process(t, rows, kek, c, nil))
	if last.Current() != id || last.Row(before.Current()) != nil {
		t.Error("a root that was forgotten counts")
	}
	if err := process(t, rows, kek, c, nil).Forget(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("forgetting the current root: %v, want ErrNotFound", err)
	}
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	rows := new(memory.Store)
	put(t, rows,
		store.Row{Key: "k:web:1", Doc: []byte(`{"schema":1,"sealed":"` + sealedV1 + `"}`)},
		store.Row{Key: "k:web:2", Doc: []byte(`{"schema":1,"sealed":"AgAA"}`)},
		store.Row{Key: "i:ca", Doc: []byte(`{"schema":1,"password":"` + sealedV1 + `"}`)},
		store.Row{Key: "i:none", Doc: []byte(`{"schema":1}`)},
		store.Row{Key: "a:1", Doc: []byte(`{"schema":1,"sealed":"` + sealedV1 + `"}`)},
		store.Row{Key: "a:2", Doc: []byte(`[]`)},
	)
	if n, err := process(t, rows, fileKEK(t, 1), newClock(), nil).Leftovers(t.Context()); n != 3 || err != nil {
		t.Errorf("%d, %v; want 3", n, err)
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	whole := root.Config{Store: new(memory.Store), KEK: fileKEK(t, 1), Partition: "vault"}
	for what, change := range map[string]func(*root.Config){
		"store":     func(cfg *root.Config) { cfg.Store = nil },
		"KEK":       func(cfg *root.Config) { cfg.KEK = nil },
		"partition": func(cfg *root.Config) { cfg.Partition = "" },
	} {
		cfg := whole
		change(&cfg)
		if _, err := root.New(cfg); err == nil {
			t.Errorf("New succeeded without a %s", what)
		}
	}
}

func TestCallerWhoGivesUp(t *testing.T) {
	t.Parallel()
	v, rows := kektest.New(t), new(memory.Store)
	hold := make(chan struct{})
	v.Set(func() { v.Hold = hold })
	k := process(t, rows, v.KEK(t, kektest.Key, nil), newClock(), nil)
	hasty, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := k.Keys(hasty); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want ErrUnavailable because of context.Canceled", err)
	}
	close(hold)
	keysOf(t, k)
}
