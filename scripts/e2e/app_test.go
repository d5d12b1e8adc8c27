package e2e

// The packaged app, unpacked.

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/certwright/certwright/scripts/package/bundle"
)

// app is the folder of the app as it is deployed: packaged, and unpacked from the
// zip file with the modes that this gives.
var app = once(func(ctx context.Context) (string, error) {
	source, err := tree()
	if err != nil {
		return "", err
	}
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	built := filepath.Join(dir, "built")
	if err := bundle.Build(ctx, source.Root, built, bundle.Here); err != nil {
		return "", err
	}
	var archive bytes.Buffer
	if err := bundle.Zip(built, &archive); err != nil {
		return "", err
	}
	deployed := filepath.Join(dir, "app")
	return deployed, unzip(archive.Bytes(), deployed)
})

func unzip(archive []byte, dir string) error {
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return fmt.Errorf("reading the package: %w", err)
	}
	for _, file := range files.File {
		if err := unpack(file, filepath.Join(dir, filepath.FromSlash(file.Name))); err != nil {
			return fmt.Errorf("unpacking %q: %w", file.Name, err)
		}
	}
	return nil
}

func unpack(file *zip.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	packed, err := file.Open()
	if err != nil {
		return err
	}
	defer packed.Close()
	content, err := io.ReadAll(packed)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, file.Mode())
}
