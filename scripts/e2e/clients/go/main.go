// Command go is the whole of Key Vault's certificates API with the official Go
// clients.
//
//	go PREFIX PART...
//
// Names begin with PREFIX; the parts run at the same time. CERTWRIGHT_E2E_CA is the
// URL of a CA: it takes a CSR in DER and answers a chain in PEM.
// CERTWRIGHT_E2E_MATERIAL is a folder with certificates and keys that were made
// elsewhere.
//
// A line for each operation, with tabs between: its name; passed, failed or not
// offered; why. And one for each package: version, its name, its version.
//
// Nothing else in here knows of Certwright.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	vaultURL = "https://myvault.vault.azure.net"
	// limit bounds the whole program, pollInterval is how often it asks.
	limit        = 5 * time.Minute
	pollInterval = 500 * time.Millisecond
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := run(ctx, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// step is an operation of a part.
type step struct {
	name string
	do   func() error
}

// run does the step. It fails where it needs what an earlier one did not find.
func (s step) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.do()
}

func run(ctx context.Context, prefix string, parts []string) error {
	v, err := newVault()
	if err != nil {
		return err
	}
	reportVersions("azcertificates", "azsecrets", "azkeys")
	s := session{ctx: ctx, vault: v, prefix: prefix}
	all := map[string][]step{
		"lifecycle": s.lifecycle(),
		"creation":  s.creation(),
		"imports":   s.imports(),
		"changes":   s.changes(),
		"contacts":  s.contacts(),
		"lists":     s.lists(),
		"backups":   s.backups(),
		"readside":  s.readSide(),
	}
	var running sync.WaitGroup
	for _, part := range parts {
		running.Go(func() {
			for _, step := range all[part] {
				report(step.name, step.run())
			}
		})
	}
	running.Wait()
	return nil
}

// session is what all parts share.
type session struct {
	ctx    context.Context
	vault  vault
	prefix string
}
