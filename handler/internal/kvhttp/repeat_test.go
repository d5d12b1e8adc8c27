package kvhttp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	azpolicy "github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// What Microsoft's client for Go makes of answers that do not reach it: it sends
// the request again, under the same x-ms-client-request-id where it is told to
// send one.

// lossy loses the answer to each change once, after it was made: the connection
// ends, or a gateway answers 503 in its place.
type lossy struct {
	next   azpolicy.Transporter
	gone   bool // the connection ends
	losing atomic.Bool
	lost   atomic.Int32
}

func (l *lossy) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(cmp.Or[io.Reader](r.Body, http.NoBody))
	if err != nil {
		return nil, err
	}
	sent := r.Clone(r.Context()) // its body may be read after the answer has come, when the client rewinds its own
	sent.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := l.next.Do(sent)
	if err != nil || r.Method == http.MethodGet || answer.StatusCode >= 300 || !l.losing.CompareAndSwap(true, false) {
		return answer, err
	}
	answer.Body.Close()
	l.lost.Add(1)
	if l.gone {
		return nil, errors.New("connection reset by peer")
	}
	answer.StatusCode, answer.Status = http.StatusServiceUnavailable, "503 Service Unavailable"
	answer.Header = http.Header{"Content-Type": {"text/plain"}}
	answer.Body = io.NopCloser(strings.NewReader("the gateway lost its upstream"))
	return answer, nil
}

func TestSDKAsksAgain(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"the connection ends": true, "503": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, options{})
			o := sdkOptions(t, s)
			l := &lossy{next: o.Transport, gone: gone}
			o.Transport = l
			o.PerCallPolicies = []azpolicy.Policy{runtime.NewRequestIDPolicy()} // without it this client sends no id
			o.Retry = azpolicy.RetryOptions{MaxRetries: 2, RetryDelay: time.Millisecond, MaxRetryDelay: time.Millisecond}
			client, err := azcertificates.NewClient(testURL, sdkCredential{s}, &azcertificates.ClientOptions{ClientOptions: o})
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			// once loses the first answer of a call, which is to succeed all the same.
			once := func(what string, call func(context.Context) error) {
				t.Helper()
				before := l.lost.Load()
				l.losing.Store(true)
				if err := call(ctx); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if l.lost.Load() != before+1 {
					t.Errorf("%s: no answer was lost", what)
				}
				s.clock.Advance(time.Second)
			}
			versions := func(name string, want int) {
				t.Helper()
				got := 0
				for pager := client.NewListCertificatePropertiesVersionsPager(name, nil); pager.More(); {
					page, err := pager.NextPage(ctx)
					if err != nil {
						t.Fatal(err)
					}
					got += len(page.Value)
				}
				if got != want {
					t.Errorf("%s has %d versions, want %d", name, got, want)
				}
			}
			manual := azcertificates.CreateCertificateParameters{CertificatePolicy: &azcertificates.CertificatePolicy{
				IssuerParameters:          &azcertificates.IssuerParameters{Name: new("Unknown")},
				X509CertificateProperties: &azcertificates.X509CertificateProperties{Subject: new("CN=a.example")},
			}}
			once("create", func(ctx context.Context) error {
				_, err := client.CreateCertificate(ctx, "manual", manual, nil)
				return err
			})
			op, err := client.GetCertificateOperation(ctx, "manual", nil)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := base64.StdEncoding.DecodeString(issue(t, base64.StdEncoding.EncodeToString(op.CSR), s.clock.Now()))
			if err != nil {
				t.Fatal(err)
			}
			once("merge", func(ctx context.Context) error {
				_, err := client.MergeCertificate(ctx, "manual", azcertificates.MergeCertificateParameters{X509Certificates: [][]byte{leaf}}, nil)
				return err
			})
			versions("manual", 1)
			value := newPair(t, s.clock.Now()).pem(t)
			once("import", func(ctx context.Context) error {
				_, err := client.ImportCertificate(ctx, "imported", azcertificates.ImportCertificateParameters{
					Base64EncodedCertificate: &value,
					CertificatePolicy:        &azcertificates.CertificatePolicy{SecretProperties: &azcertificates.SecretProperties{ContentType: new("application/x-pem-file")}},
				}, nil)
				return err
			})
			versions("imported", 1)
			once("update", func(ctx context.Context) error {
				_, err := client.UpdateCertificate(ctx, "imported", "", azcertificates.UpdateCertificateParameters{Tags: map[string]*string{"a": new("b")}}, nil)
				return err
			})
			once("delete", func(ctx context.Context) error {
				_, err := client.DeleteCertificate(ctx, "imported", nil)
				return err
			})
			once("recover", func(ctx context.Context) error {
				_, err := client.RecoverDeletedCertificate(ctx, "imported", nil)
				return err
			})
			blob, err := client.BackupCertificate(ctx, "imported", nil)
			if err != nil {
				t.Fatal(err)
			}
			once("delete again", func(ctx context.Context) error {
				_, err := client.DeleteCertificate(ctx, "imported", nil)
				return err
			})
			once("purge", func(ctx context.Context) error {
				_, err := client.PurgeDeletedCertificate(ctx, "imported", nil)
				return err
			})
			once("restore", func(ctx context.Context) error {
				_, err := client.RestoreCertificate(ctx, azcertificates.RestoreCertificateParameters{CertificateBackup: blob.Value}, nil)
				return err
			})
			versions("imported", 1)
			once("create of another request", func(ctx context.Context) error {
				_, err := client.CreateCertificate(ctx, "manual", manual, nil)
				return err
			})
			once("delete of a pending certificate", func(ctx context.Context) error {
				_, err := client.DeleteCertificateOperation(ctx, "manual", nil)
				return err
			})
			once("set issuer", func(ctx context.Context) error {
				_, err := client.SetIssuer(ctx, "ca", azcertificates.SetIssuerParameters{Provider: new("Test")}, nil)
				return err
			})
			once("delete issuer", func(ctx context.Context) error {
				_, err := client.DeleteIssuer(ctx, "ca", nil)
				return err
			})
			once("set contacts", func(ctx context.Context) error {
				_, err := client.SetContacts(ctx, azcertificates.Contacts{ContactList: []*azcertificates.Contact{{Email: new("ada@example.com")}}}, nil)
				return err
			})
			once("delete contacts", func(ctx context.Context) error {
				_, err := client.DeleteContacts(ctx, nil)
				return err
			})
		})
	}
}
