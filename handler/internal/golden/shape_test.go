package golden_test

// The shape of what is stored, and the test that it has not changed.

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStoredShape makes the data set with the program of today and compares it
// with that of 0.1.0: row keys, labels, blob names, the members of documents and
// of backups with the words that they hold, and what values are sealed under.
func TestStoredShape(t *testing.T) {
	t.Parallel()
	w := newWorld(t, new(memoryStore), start, 1, nil)
	made := w.record(w.build())
	if *update {
		made.write(t)
	}
	want := readFixture(t)
	lines := append(shape(t, w, want), added...)
	for _, l := range lines {
		if m := ofPolicy.FindStringSubmatch(l); m != nil {
			lines = append(lines, m[1]+".schema = 1")
		}
	}
	slices.Sort(lines)
	if diff := cmp.Diff(lines, shape(t, w, made)); diff != "" {
		t.Errorf("rows, documents and blobs (-0.1.0 +today):\n%s", diff)
	}
	if diff := cmp.Diff(want.Sealed, made.Sealed); diff != "" {
		t.Errorf("kinds, names and ids of sealed values (-0.1.0 +today):\n%s", diff)
	}
}

// ofPolicy is a line of which each policy has one. Policies have a number since 0.1.0,
// for the direction of their subjects.
var ofPolicy = regexp.MustCompile(`^(.*\.policy)\.x509\.validityMonths = `)

// added is what is stored since 0.1.0 besides. That release reads over it, or as
// nothing.
var added = []string{
	// Imports show these lists of alternative names even where they are empty.
	"c:pem [certificate] .policy.x509.sans.emails = []",
	"c:pem [certificate] .policy.x509.sans.upns = []",
	"c:pfx [certificate] .policy.x509.sans.emails = []",
	"c:pfx [certificate] .policy.x509.sans.upns = []",
}

// shape lists all that a fixture holds, without what differs between two runs.
func shape(t *testing.T, w *world, f *fixture) []string {
	t.Helper()
	lines := make(map[string]bool)
	for _, r := range f.rows {
		row := fmt.Sprintf("%s [%s]", steady(r.Key), r.Label)
		lines[row] = true
		members(t, row+" ", r.Doc, lines)
	}
	for name := range f.blobs {
		lines["blob "+steady(name)] = true
	}
	for name := range f.CRLs {
		lines["CRL "+name] = true
	}
	const format = "CertwrightCertificateBackupV1"
	sealed, ok := strings.CutPrefix(string(f.Backup), string(rune(len(format)))+format)
	if !ok {
		t.Fatalf("a backup begins with %q", f.Backup[:len(format)+1])
	}
	plain, err := w.sealer.Open(t.Context(), "backup", "", format, []byte(sealed))
	if err != nil {
		t.Fatal(err)
	}
	members(t, "backup ", plain, lines)
	return slices.Sorted(maps.Keys(lines))
}

// members adds a line for each member of a document.
func members(t *testing.T, at string, doc []byte, lines map[string]bool) {
	t.Helper()
	var value any
	if err := json.Unmarshal(doc, &value); err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	walk(at, value, lines)
}

func walk(at string, value any, lines map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for member, v := range value {
			walk(at+"."+steady(member), v, lines)
		}
		if len(value) == 0 {
			lines[at+" = {}"] = true
		}
	case []any:
		for _, v := range value {
			walk(at+"[]", v, lines)
		}
		if len(value) == 0 {
			lines[at+" = []"] = true
		}
	case string:
		lines[at+" = "+word(at, value)] = true
	case float64:
		lines[at+" = "+number(at, value)] = true
	default:
		lines[fmt.Sprint(at, " = ", value)] = true
	}
}

var (
	dueTime     = regexp.MustCompile(`^(d:\d:)\d{13}:`)
	writeID     = regexp.MustCompile(`^[0-9a-f]{16}$`)
	testOrder   = regexp.MustCompile(`^test-[0-9a-f]{8}$`)
	timestamp   = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$`)
	binaryValue = regexp.MustCompile(`^[0-9A-Za-z+/]{22,}={0,2}$`)
)

// steady is a key or a name without identifiers and times.
func steady(s string) string {
	return identifier.ReplaceAllString(dueTime.ReplaceAllString(s, "${1}<due>:"), "<id>")
}

// word is a text as far as it is the same in every run and not for people.
func word(at, s string) string {
	switch {
	case timestamp.MatchString(s):
		return "<time>"
	case writeID.MatchString(s):
		return "<write>"
	case testOrder.MatchString(s):
		return "<order>"
	case identifier.MatchString(s):
		return steady(s)
	case binaryValue.MatchString(s) && !strings.HasSuffix(at, ".type"):
		return "<bytes>"
	case strings.Contains(s, " ") && !strings.HasSuffix(at, ".code") && !strings.HasSuffix(at, ".subject"):
		return "<text>"
	default:
		return s
	}
}

// number is a number where it means something; where it counts, whether it is
// zero.
func number(at string, n float64) string {
	member := at[strings.LastIndexByte(at, '.')+1:]
	counts := []string{"attempts", "failures", "claim", "took", "advanced", "opens"}
	if n != 0 && slices.Contains(counts, member) {
		return "<count>"
	}
	return fmt.Sprint(n)
}
