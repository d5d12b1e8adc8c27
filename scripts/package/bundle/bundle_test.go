package bundle_test

// The package that is built for Azure.

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
	"github.com/certwright/certwright/scripts/package/bundle"
)

// binaryLimit is the budget of the stripped binary, in bytes.
const binaryLimit = 15 << 20

// build returns the folder and the zip file of the app of the sources at root.
func build(t *testing.T, root string) (string, []byte) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "app")
	if err := bundle.Build(t.Context(), root, dir, bundle.Azure); err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	if err := bundle.Zip(dir, &content); err != nil {
		t.Fatal(err)
	}
	return dir, content.Bytes()
}

// workingCopy returns the root of this working copy.
func workingCopy(t *testing.T) string {
	t.Helper()
	tree, err := checkout.Find(".")
	if err != nil {
		t.Fatal(err)
	}
	return tree.Root
}

// clone copies what the app is made of to another folder.
func clone(t *testing.T, root string) string {
	t.Helper()
	to := t.TempDir()
	for _, dir := range []string{"functions", "handler"} {
		if err := os.CopyFS(filepath.Join(to, dir), os.DirFS(filepath.Join(root, dir))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "host.json"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestPackage(t *testing.T) {
	t.Parallel()
	root := clone(t, workingCopy(t))
	dir, content := build(t, root)

	t.Run("another folder gives the same bytes", func(t *testing.T) {
		if _, other := build(t, clone(t, root)); !bytes.Equal(content, other) {
			t.Error("two packages of the same sources differ")
		}
		// Neither the time nor the mode of what is zipped may matter.
		if err := os.Chmod(filepath.Join(dir, "host.json"), 0o600); err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if err := bundle.Zip(dir, &again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(content, again.Bytes()) {
			t.Error("the zip file depends on the mode of a file")
		}
	})

	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("the app and nothing else", func(t *testing.T) { checkFiles(t, archive, root) })
	t.Run("the binary is static, for Linux on x86-64", func(t *testing.T) { checkBinary(t, archive, root) })
}

// checkFiles checks names and modes.
func checkFiles(t *testing.T, archive *zip.Reader, root string) {
	t.Helper()
	want := []string{"handler", "host.json"}
	functions, err := os.ReadDir(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	for _, function := range functions {
		want = append(want, function.Name()+"/function.json")
	}
	slices.Sort(want)
	var names []string
	for _, file := range archive.File {
		names = append(names, file.Name)
		mode := os.FileMode(0o644)
		if file.Name == "handler" {
			mode = 0o755
		}
		if file.Mode() != mode {
			t.Errorf("%s has mode %v, want %v", file.Name, file.Mode(), mode)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files of the package (-want +got):\n%s", diff)
	}
}

func checkBinary(t *testing.T, archive *zip.Reader, root string) {
	t.Helper()
	file, err := archive.Open(bundle.Binary)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	program, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	if program.Machine != elf.EM_X86_64 || program.Type != elf.ET_EXEC {
		t.Errorf("the binary is a %v for %v, want an executable for x86-64", program.Type, program.Machine)
	}
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP || segment.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a %v segment, want a static one", segment.Type)
		}
	}
	if len(binary) > binaryLimit {
		t.Errorf("the binary has %d bytes, over the budget of %d", len(binary), binaryLimit)
	}
	if bytes.Contains(binary, []byte(root+"/")) {
		t.Errorf("the binary holds the path %s", root)
	}
}

func TestBrokenSourcesAreNamed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":                    "module example.com/broken\n",
		"host.json":                 "{}",
		"functions/A/function.json": "{}",
		"handler/main.go":           "package main\n\nfunc main() { undefined() }\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(root, "dist")
	err := bundle.Build(t.Context(), root, dir, bundle.Here)
	if err == nil || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("building broken sources: %v, want the compiler's message", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error("a failed build left an app behind")
	}
}
