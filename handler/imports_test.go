package main

// What packages may import, and how many names they may export.

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers are the packages of handler/internal, and main, from the ground up, with what
// each may import of ours; "..." is every package of the layers below. A provider is
// written provider/*.
var layers = []map[string]string{
	{
		"field": "", "store": "", "names": "", "keyvault": "", "rootkey": "", "ber": "",
		"auth": "", "httpsig": "", "funchost": "", "ops": "", "provider/egress": "",
	},
	{"bounded": "names", "pbe": "ber"},
	{"pemfile": "ber bounded pbe", "pkcs12": "ber pbe"},
	{"bundle": "ber pbe pkcs12"},
	{"policy": "field store names bounded", "keyring": "field store", "azstore": "store", "seal": "keyvault rootkey", "signed": "store rootkey"},
	{"root": "store rootkey seal signed"},
	{"chain": "field store names policy bounded pbe pemfile pkcs12 bundle", "provider": "field store names policy"},
	{
		"vault":              "field store names policy chain provider keyring bounded",
		"provider/*":         "field store names policy chain provider keyring bounded httpsig provider/egress",
		"provider/privateca": "field store names policy chain provider keyring bounded keyvault provider/egress",
	},
	{
		"kvhttp": "field store names policy chain provider vault auth funchost",
		"events": "field store names policy chain provider vault httpsig provider/egress",
	},
	{"settings": "..."},
	{"app": "...", "ca": "..."},
	{"main": "..."},
}

// harnesses are what tests share. They may import anything, and no program may
// link them.
var harnesses = []string{
	"store/memory", "store/storetest", "provider/providertest", "provider/signertest", "provider/fault",
	"settings/settingstest", "certtest", "golden", "rootkey/rootkeytest", "seal/kektest",
}

// exportedLimits bound the exported names of each package, methods and fields not
// counted: a package that everybody has to know must stay small. Before one more is
// exported, look for one that can go.
var exportedLimits = map[string]int{
	"pkcs12":              8,
	"pemfile":             12,
	"pbe":                 19,
	"bundle":              2,
	"bounded":             9,
	"ber":                 1,
	"signed":              4,
	"rootkey":             6,
	"root":                5,
	"app":                 2,
	"auth":                36,
	"azstore":             5,
	"ca":                  3,
	"chain":               17,
	"events":              6,
	"field":               5,
	"funchost":            9,
	"httpsig":             2,
	"keyring":             1,
	"keyvault":            6,
	"kvhttp":              3,
	"names":               23,
	"ops":                 3,
	"policy":              41,
	"provider":            30,
	"provider/acme":       12,
	"provider/digicert":   6,
	"provider/egress":     7,
	"provider/privateca":  16,
	"provider/scripted":   3,
	"provider/selfsigned": 3,
	"provider/stepca":     3,
	"provider/vaultpki":   3,
	"provider/webhook":    6,
	"seal":                19,
	"settings":            15,
	"store":               40,
	"vault":               88,
}

// goPackage is what `go list -json` says of a package.
type goPackage struct {
	Dir, ImportPath, Name string
	GoFiles, Imports      []string
}

// internalPackages are the packages below handler/internal, by their paths there,
// and main.
func internalPackages(t *testing.T) map[string]goPackage {
	t.Helper()
	all := make(map[string]goPackage)
	for decoder := json.NewDecoder(bytes.NewReader(goList(t, "-json=Dir,ImportPath,Name,GoFiles,Imports", ".", "./internal/..."))); ; {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Name == "main" {
			p.ImportPath = "main"
		}
		all[strings.TrimPrefix(p.ImportPath, module+"handler/internal/")] = p
	}
}

// TestImports holds the layers: what a package knows of the others.
func TestImports(t *testing.T) {
	t.Parallel()
	packages := internalPackages(t)
	may := make(map[string][]string) // by row
	var below []string
	for _, layer := range layers {
		for row, allowed := range layer {
			may[row] = strings.Fields(allowed)
			if allowed == "..." {
				may[row] = below
			}
		}
		below = slices.AppendSeq(slices.Clone(below), maps.Keys(layer))
	}
	rowOf := func(path string) string {
		if _, ok := may[path]; !ok && strings.HasPrefix(path, "provider/") {
			return "provider/*"
		}
		return path
	}
	seen := make(map[string]bool)
	for path, p := range packages {
		if len(p.GoFiles) == 0 || slices.Contains(harnesses, path) {
			continue // tests only
		}
		row := rowOf(path)
		allowed, ok := may[row]
		if !ok {
			t.Errorf("%s is not in the table of imports", path)
		}
		seen[row] = true
		for _, imported := range p.Imports {
			other, ours := strings.CutPrefix(imported, module+"handler/internal/")
			switch {
			case !ours && strings.HasPrefix(imported, module):
				t.Errorf("%s imports %s, outside of handler/internal", path, imported)
			case ours && slices.Contains(harnesses, other):
				t.Errorf("%s imports %s, which is for tests", path, other)
			case ours && !slices.Contains(allowed, rowOf(other)):
				t.Errorf("%s imports %s; it may import %v", path, other, allowed)
			}
		}
	}
	for row := range may {
		if !seen[row] {
			t.Errorf("the table of imports has %s, which does not exist", row)
		}
	}
	for _, path := range harnesses {
		if _, ok := packages[path]; !ok {
			t.Errorf("the list of harnesses has %s, which does not exist", path)
		}
	}
}

// TestExportedNames prints how many exported names each package has, and holds
// its limit. Packages for tests have none.
func TestExportedNames(t *testing.T) {
	t.Parallel()
	packages := internalPackages(t)
	for path, limit := range exportedLimits {
		if _, ok := packages[path]; !ok {
			t.Errorf("%s has a limit of %d exported names and does not exist", path, limit)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(packages)) {
		if path == "main" || slices.Contains(harnesses, path) || len(packages[path].GoFiles) == 0 {
			continue
		}
		names := exportedNames(t, packages[path])
		limit, ok := exportedLimits[path]
		switch {
		case !ok:
			t.Errorf("%s has %d exported names and no limit", path, len(names))
		case len(names) > limit:
			t.Errorf("%s has %d exported names, want at most %d: %v", path, len(names), limit, names)
		default:
			t.Logf("%3d of %3d exported names: %s", len(names), limit, path)
		}
	}
}

// exportedNames are the names of a package's exported functions, types, constants
// and variables, sorted.
func exportedNames(t *testing.T, p goPackage) []string {
	t.Helper()
	var names []string
	add := func(identifiers ...*ast.Ident) {
		for _, i := range identifiers {
			if i.IsExported() {
				names = append(names, i.Name)
			}
		}
	}
	files := token.NewFileSet()
	for _, file := range p.GoFiles {
		parsed, err := parser.ParseFile(files, filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					add(d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						add(s.Name)
					case *ast.ValueSpec:
						add(s.Names...)
					}
				}
			}
		}
	}
	slices.Sort(names)
	return names
}
