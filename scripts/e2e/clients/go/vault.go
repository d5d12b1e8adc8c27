package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// vault is the client with what the steps do more than once.
type vault struct{ *azcertificates.Client }

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

// sign brings a CSR to the CA and returns its certificates.
func sign(ctx context.Context, csr []byte) ([][]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("CERTWRIGHT_E2E_CA"), bytes.NewReader(csr))
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	var chain [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		chain = append(chain, block.Bytes)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("the CA answers %s: %s", answer.Status, text)
	}
	return chain, nil
}

// expect returns the first mismatch.
func expect(checks ...error) error {
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
}

// is checks that something is what it must be.
func is[T any](what string, got, want T) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}

// refused checks that a call was refused with the status and the code.
func refused(err error, status int, code string) error {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || answer.StatusCode != status || answer.ErrorCode != code {
		return fmt.Errorf("got %v, want it refused with %d %s", err, status, code)
	}
	return nil
}
