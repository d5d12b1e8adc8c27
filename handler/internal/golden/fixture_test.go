package golden_test

// What is kept of the data set, and how it is read.

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

// update writes the fixtures anew, with -run TestStoredShape. They are what release
// 0.1.0 stored: only the code of that release may write them, and never to make a
// test pass. What is added to documents later belongs in fixtures of a later
// release.
var update = flag.Bool("update-0.1.0", false, "write testdata/0.1.0 anew; only ever with the code of release 0.1.0")

const fixtures = "testdata/0.1.0"

// fixture is the data set as a release stored it.
type fixture struct {
	Now    time.Time         `json:"now"`  // when it was complete
	Root   string            `json:"root"` // certificate of the private CA, PEM
	CRLs   map[string][]byte `json:"crls"` // by blob name
	Backup []byte            `json:"backup"`
	Sealed []string          `json:"sealed"` // kinds, names and ids under which values were sealed

	rows  []storedRow
	blobs map[string]string
}

// storedRow is a row of the fixture.
type storedRow struct {
	Key   string          `json:"key"`
	Label string          `json:"label"`
	Doc   json.RawMessage `json:"doc"`
}

// record makes a fixture of a world.
func (w *world) record(backup []byte) *fixture {
	f := &fixture{
		Now: w.clock.Now(), Root: certificatePEM(w.corp.Certificate())[0], CRLs: w.crls.blobs, Backup: backup,
		Sealed: slices.Sorted(maps.Keys(w.sealer.sealed)), blobs: make(map[string]string),
	}
	contents := w.store.Contents()
	for _, r := range contents.Rows {
		f.rows = append(f.rows, storedRow{r.Key, r.Label, r.Doc})
	}
	for name, data := range contents.Blobs {
		f.blobs[name] = string(data)
	}
	return f
}

func (f *fixture) write(t *testing.T) {
	t.Helper()
	var rows bytes.Buffer
	for i, r := range f.rows { // one line each
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&rows, "%s%s", map[bool]string{true: "[\n", false: ",\n"}[i == 0], line)
	}
	rows.WriteString("\n]\n")
	for name, content := range map[string]any{"world.json": f, "blobs.json": f.blobs, "rows.json": nil} {
		text := rows.Bytes()
		if content != nil {
			var err error
			if text, err = json.MarshalIndent(content, "", "  "); err != nil {
				t.Fatal(err)
			}
			text = append(text, '\n')
		}
		if err := os.WriteFile(filepath.Join(fixtures, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// earliest is a data set of a commit before 0.1.0, 56c0f43, which knew neither
// renewals nor events nor a board; its code wrote it, and nothing writes it again.
const earliest = "testdata/56c0f43"

func readFixture(t *testing.T) *fixture {
	t.Helper()
	return readFixtureIn(t, fixtures)
}

func readFixtureIn(t *testing.T, dir string) *fixture {
	t.Helper()
	f := new(fixture)
	for name, into := range map[string]any{"world.json": f, "blobs.json": &f.blobs, "rows.json": &f.rows} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// open makes a world that goes on with the fixture.
func (f *fixture) open(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, f.store(t), f.Now, 2, f.authority(t))
	maps.Copy(w.crls.blobs, f.CRLs)
	return w
}

// authority is the certificate of the private CA, nil where there is none.
func (f *fixture) authority(t *testing.T) *x509.Certificate {
	t.Helper()
	var root *x509.Certificate
	if f.Root != "" {
		block, _ := pem.Decode([]byte(f.Root))
		var err error
		if root, err = x509.ParseCertificate(block.Bytes); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// store is a store that has what the fixture has.
func (f *fixture) store(t *testing.T) *memoryStore {
	t.Helper()
	s := new(memoryStore)
	for _, r := range f.rows {
		row := store.Row{Key: r.Key, Label: r.Label, Doc: r.Doc}
		if _, err := s.Commit(t.Context(), store.Tx{Actions: []store.Action{{Verb: store.Add, Row: row}}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range f.blobs {
		if err := s.PutBlob(t.Context(), name, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// names of certificates whose head has one of these labels, all when there are
// none.
func (f *fixture) names(labels ...string) (names []string) {
	for _, r := range f.rows {
		if n, ok := strings.CutPrefix(r.Key, "c:"); ok && (len(labels) == 0 || slices.Contains(labels, r.Label)) {
			names = append(names, n)
		}
	}
	return names
}

// ids of the rows under a prefix: what follows it.
func ids(c memory.Contents, prefix string) (ids []string) {
	for _, r := range c.Rows {
		if id, ok := strings.CutPrefix(r.Key, prefix); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
