package main

// Each fuzz target has a committed corpus, and each corpus a target.

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every fuzz target has a committed seed corpus, and every corpus a target: go
// test says nothing of either when the other has been renamed or is gone.
func TestFuzzCorpora(t *testing.T) {
	t.Parallel()
	const least = 3
	targets := make(map[string]bool) // by the path of the corpus
	var corpora []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if strings.HasSuffix(filepath.Dir(path), filepath.Join("testdata", "fuzz")) {
				corpora = append(corpora, path)
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				targets[filepath.Join(filepath.Dir(path), "testdata", "fuzz", f.Name.Name)] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(targets) == 0 {
		t.Error("no fuzz target found")
	}
	for corpus := range targets {
		if seeds, err := os.ReadDir(corpus); err != nil || len(seeds) < least {
			t.Errorf("%s: %d seeds, %v, want at least %d", corpus, len(seeds), err, least)
		}
	}
	for _, corpus := range corpora {
		if !targets[corpus] {
			t.Errorf("%s: no target of this name in its package", corpus)
		}
	}
}
