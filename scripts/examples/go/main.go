// Command go creates, reads and deletes a certificate with the official Key
// Vault client.
//
// Nothing in here knows of Certwright: the vault is chosen by KEY_VAULT_NAME, and
// the local cloud's settings (.local/env) lead its name to this machine.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

const (
	pollInterval = time.Second
	limit        = time.Minute
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	vaultURL := "https://" + cmp.Or(os.Getenv("KEY_VAULT_NAME"), "myvault") + ".vault.azure.net"
	name := "quickstart-" + strings.ToLower(rand.Text()[:8])
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return err
	}
	client, err := azcertificates.NewClient(vaultURL, credential, nil)
	if err != nil {
		return err
	}

	fmt.Printf("creating %s in %s\n", name, vaultURL)
	_, err = client.CreateCertificate(ctx, name, azcertificates.CreateCertificateParameters{
		CertificatePolicy: &azcertificates.CertificatePolicy{
			IssuerParameters:          &azcertificates.IssuerParameters{Name: to.Ptr("Self")},
			X509CertificateProperties: &azcertificates.X509CertificateProperties{Subject: to.Ptr("CN=DefaultPolicy")},
		},
	}, nil)
	if err != nil {
		return err
	}
	if err := wait(ctx, client, name); err != nil {
		return err
	}

	certificate, err := client.GetCertificate(ctx, name, "", nil)
	if err != nil {
		return err
	}
	fmt.Printf("got %s, SHA-1 thumbprint %x\n", *certificate.ID, certificate.X509Thumbprint)

	deleted, err := client.DeleteCertificate(ctx, name, nil)
	if err != nil {
		return err
	}
	fmt.Printf("deleted, recoverable until %s\n", deleted.ScheduledPurgeDate.Format(time.DateOnly))
	return nil
}

// wait polls the pending operation; this client has no poller of its own.
func wait(ctx context.Context, client *azcertificates.Client, name string) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		operation, err := client.GetCertificateOperation(ctx, name, nil)
		switch {
		case err != nil:
			return err
		case operation.Error != nil:
			return fmt.Errorf("creating %s: %w", name, operation.Error)
		case *operation.Status == "completed":
			return nil
		case *operation.Status != "inProgress":
			return fmt.Errorf("creating %s: the operation is %s", name, *operation.Status)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
