package ops_test

import (
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
)

// put writes a row past the vault.
func (s *service) put(key, label, doc string) {
	s.t.Helper()
	row := store.Row{Key: key, Label: label, Doc: []byte(doc)}
	if _, err := s.store.Commit(s.t.Context(), store.Tx{Actions: []store.Action{{Verb: store.Put, Row: row}}}); err != nil {
		s.t.Fatal(err)
	}
}

// TestMigrate: operators see how far a migration is, the board does not say that
// nothing has failed before it has ended, and it can be ended.
func TestMigrate(t *testing.T) {
	t.Parallel()
	s := newService(t)
	note := "What an earlier release stored is still being migrated, and may be missing here. `handler migrate` says how far that is."
	want(t, s.run("migrate"), "migration to schema: 2", "state: has not begun: the next tick begins it", "pass: 0",
		"of an older form in this pass: 0", "in all passes: 0")
	want(t, s.run("list"), note, "Nothing is known to be in progress or to have failed.")
	want(t, s.run("list -issuer corp"), note, "Nothing that was asked for is in progress or has failed.")
	if _, err := s.try("migrate -finish"); err == nil || !strings.Contains(err.Error(), "first pass") {
		t.Errorf("finishing what has not begun: %v", err)
	}
	s.put("s:contacts", "", `{"schema":1,"contacts":[{"email":"ada@example.com"}]}`)
	s.maintain()
	s.now = s.now.Add(time.Minute)
	want(t, s.run("migrate"), "migration to schema: 2", "state: waits for the next pass", "pass: 2",
		"of an older form in this pass: 0", "in all passes: 1",
		"began: 2026-03-01T12:00:00Z (60s ago)", "next pass: 2026-03-01T12:10:00Z (in 9m)")
	want(t, s.run("migrate -finish"), "migration to schema: 2", "state: has ended: everything that can be read is in this release's form", "pass: 2",
		"of an older form in this pass: 0", "in all passes: 1",
		"began: 2026-03-01T12:00:00Z (60s ago)", "ended: 2026-03-01T12:01:00Z (0s ago)")
	want(t, s.run("list"), "Nothing is in progress, and nothing has failed.")
}

// TestBroken: rows that cannot be read are shown, on the board and among themselves.
func TestBroken(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.maintain()
	want(t, s.run("broken"), "Every row can be read.")
	s.put("c:web", "certificate failed", `{"schema":9}`)
	s.put("i:corp", "", `[]`)
	problem := `row "c:web" has schema 9, this program knows 2: a newer program wrote it`
	want(t, s.run("broken"), "ROW PROBLEM", "c:web "+problem, `i:corp reading row "i:corp": json: cannot unmarshal array into Go value of type store.…`)
	board := strings.Join(lines(s.run("list")), "\n")
	if want := "\nc:web unreadable failed - 0 - " + problem; !strings.HasSuffix(board, want) {
		t.Errorf("the board says %q, want %q", board, want)
	}
	if _, err := s.try("migrate -adopt c:web"); err == nil || !strings.Contains(err.Error(), "authentic") {
		t.Errorf("adopting a row that is authentic: %v", err)
	}
	s.roles = []string{"Key Vault Certificate User"}
	for _, command := range []string{"migrate -finish", "migrate -adopt c:web"} {
		if _, err := s.try(command); err == nil || !strings.Contains(err.Error(), "Forbidden") {
			t.Errorf("%s by a reader: %v", command, err)
		}
	}
}
