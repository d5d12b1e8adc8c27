package settings

import (
	"crypto/x509"
	"fmt"
	"os"
)

// readRoots reads a file of certificates; nil, the system's roots, without one.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading roots: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %q", file)
	}
	return pool, nil
}
