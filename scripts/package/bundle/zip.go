package bundle

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// epoch is the time of every file in the zip, the earliest that the format knows.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Zip writes the app in dir as a zip file for deployment. Files are in the order
// of their names and have no times, and the handler's entry is executable:
// Functions starts it with the mode that the zip gives it.
func Zip(dir string, to io.Writer) error {
	archive := zip.NewWriter(to)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return add(archive, name, filepath.Join(dir, filepath.FromSlash(name)))
	})
	if err != nil {
		return fmt.Errorf("zipping %q: %w", dir, err)
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("zipping %q: %w", dir, err)
	}
	return nil
}

func add(archive *zip.Writer, name, path string) error {
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: epoch}
	header.SetMode(0o644)
	if name == Binary {
		header.SetMode(0o755)
	}
	entry, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(entry, file)
	return err
}
