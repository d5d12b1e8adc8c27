package kvhttp

// The lifecycle, by the official Go client.

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azpolicy "github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// sdkCredential gives the test's token to a client that asks for what the challenge says.
type sdkCredential struct{ s *service }

func (c sdkCredential) GetToken(_ context.Context, o azpolicy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(o.Scopes) != 1 || o.Scopes[0] != "https://vault.azure.net/.default" || o.TenantID != "tenant-1" {
		return azcore.AccessToken{}, fmt.Errorf("token asked for scopes %q, tenant %q", o.Scopes, o.TenantID)
	}
	// The SDK looks at the real clock.
	return azcore.AccessToken{Token: c.s.token, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// sdkOptions make Microsoft's clients for the vault at testURL reach the test's
// server. Their verification of the challenge is on.
func sdkOptions(t *testing.T, s *service) azcore.ClientOptions {
	t.Helper()
	server := httptest.NewTLSServer(s.handler)
	t.Cleanup(server.Close)
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, ServerName: "example.com"}
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	t.Cleanup(transport.CloseIdleConnections)
	return azcore.ClientOptions{Transport: &http.Client{Transport: transport}, Retry: azpolicy.RetryOptions{MaxRetries: -1}}
}

func newSDKClient(t *testing.T, s *service) *azcertificates.Client {
	t.Helper()
	client, err := azcertificates.NewClient(testURL, sdkCredential{s}, &azcertificates.ClientOptions{ClientOptions: sdkOptions(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// wantCode checks that a call was refused in this way.
func wantCode(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	if e, ok := errors.AsType[*azcore.ResponseError](err); !ok || e.StatusCode != status || e.ErrorCode != code {
		t.Errorf("%s: got %v, want %d %s", what, err, status, code)
	}
}

// The whole lifecycle through Microsoft's client for Go.
func TestSDK(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	client := newSDKClient(t, s)
	ctx := t.Context()
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	wantCode := func(what string, err error, status int, code string) {
		t.Helper()
		wantCode(t, what, err, status, code)
	}

	// Self: create, poll, get.
	created, err := client.CreateCertificate(ctx, "self", azcertificates.CreateCertificateParameters{
		CertificatePolicy: &azcertificates.CertificatePolicy{
			IssuerParameters:          &azcertificates.IssuerParameters{Name: new("self")},
			X509CertificateProperties: &azcertificates.X509CertificateProperties{Subject: new("CN=self.example")},
		},
		PreserveCertOrder: new(true),
	}, nil)
	check("create", err)
	if *created.Status != "inProgress" || *created.CancellationRequested || *created.StatusDetails == "" || !*created.PreserveCertOrder || *created.IssuerParameters.Name != "self" || created.ID.Name() != "self" {
		t.Errorf("create: got %+v", created.CertificateOperation)
	}
	s.clock.Advance(5 * time.Second)
	op, err := client.GetCertificateOperation(ctx, "self", nil)
	check("get operation", err)
	if *op.Status != "completed" || *op.RequestID != *created.RequestID || *op.Target != testURL+"/certificates/self" {
		t.Errorf("get operation: got %+v", op.CertificateOperation)
	}
	cert, err := client.GetCertificate(ctx, "self", "", nil)
	check("get", err)
	if cert.ID.Name() != "self" || len(cert.ID.Version()) != 32 || cert.KID.Version() != cert.ID.Version() || len(cert.CER) == 0 || len(cert.X509Thumbprint) != 20 || !*cert.Attributes.Enabled || cert.Policy == nil {
		t.Errorf("get: got %+v", cert.Certificate)
	}
	_, err = client.GetCertificate(ctx, "self", cert.ID.Version(), nil)
	check("get version", err)

	// An issuer object: set, update, cancel what it holds.
	_, err = client.SetIssuer(ctx, "myca", azcertificates.SetIssuerParameters{
		Provider:            new("Test"),
		Credentials:         &azcertificates.IssuerCredentials{AccountID: new("account"), Password: new("password")},
		OrganizationDetails: &azcertificates.OrganizationDetails{ID: new("hold")},
	}, nil)
	check("set issuer", err)
	issuer, err := client.UpdateIssuer(ctx, "myca", azcertificates.UpdateIssuerParameters{Credentials: &azcertificates.IssuerCredentials{}}, nil)
	check("update issuer", err)
	if *issuer.Credentials.AccountID != "account" || issuer.Credentials.Password != nil || *issuer.OrganizationDetails.ID != "hold" || *issuer.ID != testURL+"/certificates/issuers/myca" {
		t.Errorf("update issuer: got %+v", issuer.Issuer)
	}
	withIssuer := func(name string) azcertificates.CreateCertificateParameters {
		return azcertificates.CreateCertificateParameters{CertificatePolicy: &azcertificates.CertificatePolicy{
			IssuerParameters:          &azcertificates.IssuerParameters{Name: &name},
			X509CertificateProperties: &azcertificates.X509CertificateProperties{Subject: new("CN=held.example")},
		}}
	}
	_, err = client.CreateCertificate(ctx, "held", withIssuer("myca"), nil)
	check("create at issuer", err)
	_, err = client.CreateCertificate(ctx, "held", withIssuer("myca"), nil)
	wantCode("create while in progress", err, 409, "Forbidden")
	cancelled, err := client.UpdateCertificateOperation(ctx, "held", azcertificates.UpdateCertificateOperationParameter{CancellationRequested: new(true)}, nil)
	check("cancel", err)
	if *cancelled.Status != "inProgress" || !*cancelled.CancellationRequested {
		t.Errorf("cancel: got %+v", cancelled.CertificateOperation)
	}
	s.clock.Advance(5 * time.Second)
	s.tick()
	op, err = client.GetCertificateOperation(ctx, "held", nil)
	check("get cancelled operation", err)
	if *op.Status != "cancelled" {
		t.Errorf("get cancelled operation: got %+v", op.CertificateOperation)
	}
	_, err = client.DeleteCertificateOperation(ctx, "held", nil)
	check("delete operation", err)
	_, err = client.GetCertificateOperation(ctx, "held", nil)
	wantCode("get deleted operation", err, 404, "PendingCertificateNotFound")

	// Merge.
	manual, err := client.CreateCertificate(ctx, "manual", withIssuer("Unknown"), nil)
	check("create manually", err)
	leaf, err := base64.StdEncoding.DecodeString(issue(t, base64.StdEncoding.EncodeToString(manual.CSR), s.clock.Now()))
	check("issue", err)
	merged, err := client.MergeCertificate(ctx, "manual", azcertificates.MergeCertificateParameters{X509Certificates: [][]byte{leaf}, Tags: map[string]*string{"a": new("b")}}, nil)
	check("merge", err)
	if string(merged.CER) != string(leaf) || *merged.Tags["a"] != "b" {
		t.Errorf("merge: got %+v", merged.Certificate)
	}

	// Lists of more than a page.
	want := 2
	for i := range 30 {
		name := fmt.Sprintf("many%02d", i)
		s.complete(name)
		want++
	}
	got := 0
	for pager := client.NewListCertificatePropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		check("list", err)
		got += len(page.Value)
	}
	if got != want {
		t.Errorf("list: got %d certificates, want %d", got, want)
	}

	// Delete, recover, purge.
	deleted, err := client.DeleteCertificate(ctx, "self", nil)
	check("delete", err)
	_, err = client.GetDeletedCertificate(ctx, "self", nil)
	check("get deleted", err)
	_, err = client.CreateCertificate(ctx, "self", withIssuer("Self"), nil)
	wantCode("create over deleted", err, 409, "Conflict")
	recovered, err := client.RecoverDeletedCertificate(ctx, "self", nil)
	check("recover", err)
	if *recovered.ID != *deleted.ID {
		t.Errorf("recover: got %s, want %s", *recovered.ID, *deleted.ID)
	}
	_, err = client.DeleteCertificate(ctx, "self", nil)
	check("delete again", err)
	_, err = client.PurgeDeletedCertificate(ctx, "self", nil)
	check("purge", err)
	_, err = client.GetDeletedCertificate(ctx, "self", nil)
	wantCode("get purged", err, 404, "CertificateNotFound")
	_, err = client.DeleteIssuer(ctx, "myca", nil)
	check("delete issuer", err)
	_, err = client.GetIssuer(ctx, "myca", nil)
	wantCode("get deleted issuer", err, 404, "CertificateIssuerNotFound")
}
