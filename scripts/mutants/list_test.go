package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestListIsCurrent: each mutant's text is in its file, and its tests are there, or
// `make mutants` would find out after minutes.
func TestListIsCurrent(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", source)
	files, err := filepath.Glob(filepath.Join(root, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	seen := make(map[string]bool)
	for _, m := range mutants {
		text, err := os.ReadFile(filepath.Join(root, m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), m.old); n != 1 {
			t.Errorf("%s: its text is in %s %d times", m.name, m.file, n)
		}
		if seen[m.name] {
			t.Errorf("%s is there twice", m.name)
		}
		seen[m.name] = true
		for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(m.tests, -1) {
			if !strings.Contains(tests.String(), "func "+name+"(") {
				t.Errorf("%s: there is no %s", m.name, name)
			}
		}
	}
}

// TestVerdicts: a mutant that its tests notice is killed, one that they do not notice
// survives, and one that proves nothing is an error.
func TestVerdicts(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	same := mutant{file: "field.go", old: "const maxEcho = 256", new: "const maxEcho = 256", tests: "^TestErrorfCutsLongValues$"}
	for what, test := range map[string]struct {
		edit   func(m *mutant)
		killed bool
		fails  string
	}{
		"no change":    {func(*mutant) {}, false, ""},
		"a change":     {func(m *mutant) { m.new = "const maxEcho = 255" }, true, ""},
		"no such text": {func(m *mutant) { m.old = "no such text" }, false, "0 times"},
		"no such test": {func(m *mutant) { m.tests = "^TestNothing$" }, false, "no test"},
		"no Go":        {func(m *mutant) { m.new = "const" }, false, "does not compile"},
	} {
		m := same
		test.edit(&m)
		killed, err := m.try(t.Context(), filepath.Join("handler", "internal", "field"), t.TempDir())
		if killed != test.killed || (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s: killed %t, %v", what, killed, err)
		}
	}
}
