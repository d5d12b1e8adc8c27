package golden_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

// updateSecond writes anew what the second release adds. A release that has come out
// changes no more: then this flag goes.
var updateSecond = flag.Bool("update-second", false, "write testdata/second/added.txt anew, with -run TestStoredShape")

// added lists the members that documents have since the second release.
const added = "testdata/second/added.txt"

// secondRelease makes the shape of what the second release stores of that of 0.1.0:
// the changes that are meant, and no other. Every document has another schema;
// nothing of 0.1.0 is missing.
func secondRelease(t *testing.T, old, today []string) []string {
	t.Helper()
	var lines []string
	for _, line := range old {
		lines = append(lines, strings.Replace(line, "schema = 1", "schema = 2", 1))
	}
	if *updateSecond {
		var more []string
		for _, line := range today {
			if !slices.Contains(lines, line) {
				more = append(more, line)
			}
		}
		if err := os.WriteFile(added, []byte(strings.Join(more, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(added)
	if err != nil {
		t.Fatal(err)
	}
	lines = append(lines, strings.Split(strings.TrimSpace(string(text)), "\n")...)
	slices.Sort(lines)
	return slices.Compact(lines)
}
