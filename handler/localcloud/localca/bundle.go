package localca

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/certwright/certwright/handler/localcloud/state"
)

const bundleName = "ca/bundle.pem"

// systemRoots are the places where systems keep their trusted roots in one file:
// Debian and Alpine, Fedora, macOS.
var systemRoots = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/cert.pem",
}

// WriteBundle writes the file that a program has to trust to reach the local
// cloud and the rest of the world alike, the trusted roots and the authority, and
// returns its path. chosen is the roots' file if the user has chosen one
// (SSL_CERT_FILE), else empty: the system's. In a shell with the local cloud's
// settings it is the bundle itself, whose roots are then kept. A system without
// roots gets the authority alone.
func (a *Authority) WriteBundle(folder state.Folder, chosen string) (string, error) {
	bundle := folder.Path(bundleName)
	candidates := systemRoots
	if chosen != "" {
		candidates = []string{chosen}
	}
	roots, err := firstFile(candidates)
	if err != nil {
		return "", fmt.Errorf("reading the trusted roots: %w", err)
	}
	if chosen == bundle { // the last certificate is an authority of ours
		roots = roots[:max(0, bytes.LastIndex(roots, []byte("-----BEGIN CERTIFICATE-----")))]
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	return bundle, folder.Write(bundleName, bytes.Join([][]byte{bytes.TrimSpace(roots), authority}, []byte("\n")))
}

func firstFile(paths []string) ([]byte, error) {
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return content, err
		}
	}
	return nil, nil
}
