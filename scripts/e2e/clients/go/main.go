// Command go is the lifecycle of certificates with the official Go client.
//
//	go PREFIX
//
// Names begin with PREFIX. CERTWRIGHT_E2E_CA is the URL of a CA: it takes a CSR in
// DER and answers a chain in PEM. A line for each step; the first mismatch ends the
// program with an error.
//
// Nothing else in here knows of Certwright.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
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
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, prefix string) error {
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return err
	}
	client, err := azcertificates.NewClient(vaultURL, credential, nil)
	if err != nil {
		return err
	}
	w := &walk{
		ctx: ctx, vault: vault{client},
		own: prefix + "-self", manual: prefix + "-manual", held: prefix + "-held",
		cancelled: prefix + "-cancelled", issuer: prefix + "-issuer",
	}
	for _, step := range []struct {
		name string
		walk func() error
	}{
		{"create with issuer Self", w.createSelf},
		{"read certificate, version and policy", w.read},
		{"list certificates and versions", w.list},
		{"delete the operation", w.deleteOperation},
		{"create with issuer Unknown", w.createUnknown},
		{"merge", w.merge},
		{"set, update, get and list an issuer", w.setIssuer},
		{"create at an issuer that holds", w.hold},
		{"the issuer issues", w.issue},
		{"the old version is served while a new one is pending", w.renew},
		{"cancel at the issuer", w.cancel},
		{"the issuer rejects", w.reject},
		{"merge what was obtained elsewhere", w.mergeFailed},
		{"cancel right after create", w.cancelSelf},
		{"delete a certificate", w.delete},
		{"create on a deleted name", w.createDeleted},
		{"recover", w.recover},
		{"purge", w.purge},
		{"delete the issuer", w.deleteIssuer},
	} {
		fmt.Println(step.name)
		if err := step.walk(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}
