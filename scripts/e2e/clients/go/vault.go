package main

import (
	"context"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// vault is the certificate client with what the steps do more than once, and the
// clients of the secrets and keys behind certificates.
type vault struct {
	*azcertificates.Client
	secrets *azsecrets.Client
	keys    *azkeys.Client
}

func newVault() (vault, error) {
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return vault{}, err
	}
	certificates, err := azcertificates.NewClient(vaultURL, credential, nil)
	if err != nil {
		return vault{}, err
	}
	secrets, err := azsecrets.NewClient(vaultURL, credential, nil)
	if err != nil {
		return vault{}, err
	}
	keys, err := azkeys.NewClient(vaultURL, credential, nil)
	return vault{certificates, secrets, keys}, err
}

// create starts an operation for an EC key.
func (v vault) create(ctx context.Context, name, issuer string) (azcertificates.CreateCertificateResponse, error) {
	return v.CreateCertificate(ctx, name, azcertificates.CreateCertificateParameters{
		CertificatePolicy: &azcertificates.CertificatePolicy{
			IssuerParameters: &azcertificates.IssuerParameters{Name: to.Ptr(issuer)},
			KeyProperties: &azcertificates.KeyProperties{
				KeyType: to.Ptr(azcertificates.KeyTypeEC), Curve: to.Ptr(azcertificates.CurveNameP256),
			},
			X509CertificateProperties: &azcertificates.X509CertificateProperties{Subject: to.Ptr("CN=" + name + ".example.com")},
		},
	}, nil)
}

// await polls the operation until it ends, which must be with the status.
func (v vault) await(ctx context.Context, name, status string) (azcertificates.CertificateOperation, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		got, err := v.GetCertificateOperation(ctx, name, nil)
		if err != nil {
			return azcertificates.CertificateOperation{}, err
		}
		switch *got.Status {
		case status:
			return got.CertificateOperation, nil
		case "inProgress":
		default:
			return azcertificates.CertificateOperation{}, fmt.Errorf("the operation is %s, want it %s", *got.Status, status)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return azcertificates.CertificateOperation{}, ctx.Err()
		}
	}
}

func (v vault) cancel(ctx context.Context, name string) (azcertificates.UpdateCertificateOperationResponse, error) {
	wish := azcertificates.UpdateCertificateOperationParameter{CancellationRequested: to.Ptr(true)}
	return v.UpdateCertificateOperation(ctx, name, wish, nil)
}

func (v vault) merge(ctx context.Context, name string, chain [][]byte) (azcertificates.MergeCertificateResponse, error) {
	return v.MergeCertificate(ctx, name, azcertificates.MergeCertificateParameters{X509Certificates: chain}, nil)
}

// names are those of all certificates.
func (v vault) names(ctx context.Context, pending bool) (map[string]bool, error) {
	names := map[string]bool{}
	pager := v.NewListCertificatePropertiesPager(&azcertificates.ListCertificatePropertiesOptions{IncludePending: to.Ptr(pending)})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Value {
			names[item.ID.Name()] = true
		}
	}
	return names, nil
}

// deleted are the names of all deleted certificates.
func (v vault) deleted(ctx context.Context) (map[string]bool, error) {
	names := map[string]bool{}
	for pager := v.NewListDeletedCertificatePropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Value {
			names[item.ID.Name()] = true
		}
	}
	return names, nil
}

// versions are those of a certificate.
func (v vault) versions(ctx context.Context, name string) (map[string]bool, error) {
	versions := map[string]bool{}
	for pager := v.NewListCertificatePropertiesVersionsPager(name, nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Value {
			versions[item.ID.Version()] = true
		}
	}
	return versions, nil
}
