// Package state keeps what was generated for one local cloud alone (keys,
// certificates, tokens) in a folder that only its owner can read.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder is the path of such a folder. It need not exist yet.
type Folder string

// Path returns the path of a file in the folder.
func (f Folder) Path(elem ...string) string {
	return filepath.Join(append([]string{string(f)}, elem...)...)
}

// Make creates the folder, or one in it, readable by its owner only, and returns
// its path.
func (f Folder) Make(elem ...string) (string, error) {
	path := f.Path(elem...)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("creating %q: %w", path, err)
	}
	return path, nil
}

// Write replaces a file in the folder; readers see the old content or the new,
// never a part. The file is readable by its owner only.
func (f Folder) Write(name string, content []byte) error {
	dir, err := f.Make(filepath.Dir(name))
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
	if err := os.Rename(file.Name(), f.Path(name)); err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", name, err), os.Remove(file.Name()))
	}
	return nil
}

// ReadOrCreate returns the content of a file in the folder, which generate makes
// when there is none.
func (f Folder) ReadOrCreate(name string, generate func() ([]byte, error)) ([]byte, error) {
	content, err := os.ReadFile(f.Path(name))
	if err == nil {
		return content, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	if content, err = generate(); err != nil {
		return nil, fmt.Errorf("generating %q: %w", name, err)
	}
	return content, f.Write(name, content)
}
