// Command package builds what is deployed: dist/app, the function app for
// Azure, and dist/certwright.zip, the same as a zip file. It prints the zip
// file's SHA-256, which is the same for everyone who packages the same sources
// with the same Go.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
	"github.com/certwright/certwright/scripts/package/bundle"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: package\n\nBuilds dist/app and dist/certwright.zip of the working copy.")
	}
	if flag.Parse(); flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	tree, err := checkout.Find(".")
	if err != nil {
		return err
	}
	app, file := filepath.Join(tree.Root, "dist", "app"), filepath.Join(tree.Root, "dist", "certwright.zip")
	if err := bundle.Build(ctx, tree.Root, app, bundle.Azure); err != nil {
		return err
	}
	var zip bytes.Buffer
	if err := bundle.Zip(app, &zip); err != nil {
		return err
	}
	if err := os.WriteFile(file, zip.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing %q: %w", file, err)
	}
	fmt.Printf("%x  dist/certwright.zip (%d KiB)\n", sha256.Sum256(zip.Bytes()), zip.Len()>>10)
	return nil
}
