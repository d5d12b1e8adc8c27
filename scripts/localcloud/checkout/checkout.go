// Package checkout knows the places of a working copy of Certwright: its root,
// and `.local`, the ignored folder that holds everything that was generated for
// this copy alone (keys, certificates, storage data, installed tools).
package checkout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// module is the first line of the go.mod that marks the root.
const module = "module github.com/certwright/certwright"

// Checkout is one working copy.
type Checkout struct {
	// Root is the absolute path of the folder that holds go.mod.
	Root string
}

// Find returns the working copy that dir lies in.
func Find(dir string) (Checkout, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return Checkout{}, fmt.Errorf("finding the working copy above %q: %w", dir, err)
	}
	for at := start; ; at = filepath.Dir(at) {
		content, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil && isModule(content) {
			return Checkout{Root: at}, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Checkout{}, fmt.Errorf("finding the working copy above %q: %w", dir, err)
		}
		if at == filepath.Dir(at) {
			return Checkout{}, fmt.Errorf("finding the working copy above %q: no go.mod of Certwright", start)
		}
	}
}

// OrHere is c or, when that is zero, the working copy that the working directory
// lies in.
func (c Checkout) OrHere() (Checkout, error) {
	if c.Root != "" {
		return c, nil
	}
	return Find(".")
}

func isModule(goMod []byte) bool {
	return len(goMod) > len(module) && string(goMod[:len(module)]) == module && goMod[len(module)] == '\n'
}

// Local returns the path of a file below `.local`.
func (c Checkout) Local(elem ...string) string {
	return filepath.Join(append([]string{c.Root, ".local"}, elem...)...)
}

// MakeLocal creates the folder below `.local`, readable by its owner only, and
// returns its path.
func (c Checkout) MakeLocal(elem ...string) (string, error) {
	path := c.Local(elem...)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("creating %q: %w", path, err)
	}
	return path, nil
}

// Write replaces a file below `.local`; readers see the old content or the new,
// never a part. The file is readable by its owner only.
func (c Checkout) Write(name string, content []byte) error {
	dir, err := c.MakeLocal(filepath.Dir(name))
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "."+filepath.Base(name)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", name, err), os.Remove(file.Name()))
	}
	if err := os.Rename(file.Name(), c.Local(name)); err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", name, err), os.Remove(file.Name()))
	}
	return nil
}

// ReadOrCreate returns the content of a file below `.local`, which generate
// makes when there is none.
func (c Checkout) ReadOrCreate(name string, generate func() ([]byte, error)) ([]byte, error) {
	content, err := os.ReadFile(c.Local(name))
	if err == nil {
		return content, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	if content, err = generate(); err != nil {
		return nil, fmt.Errorf("generating %q: %w", name, err)
	}
	return content, c.Write(name, content)
}
