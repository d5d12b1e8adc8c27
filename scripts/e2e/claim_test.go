package e2e

// What a program was told about a certificate, and must find to be so later.

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
)

// claim is what a program was told about a certificate and relies on.
type claim struct {
	name, issuer string
	requestID    string
	csr          []byte
	leaf         []byte // of a merge
}

// mergeBody is the body of a merge of one certificate in DER.
func mergeBody(leaf []byte) string {
	body, _ := json.Marshal(map[string]any{"x5c": [][]byte{leaf}}) // bytes always encode
	return string(body)
}

// check checks that the claim holds and that its operation has completed: there is
// one version, which is the latest, of the operation's key and nobody else's; and
// its chain is stored.
func (b *backend) check(ctx context.Context, a *api, c claim) error {
	get := func(path string, into any) error {
		got, err := a.do(ctx, http.MethodGet, "/certificates/"+c.name+path+apiVersion, "")
		if err == nil && got.status != http.StatusOK {
			err = got.refusal()
		}
		if err == nil {
			err = got.into(into)
		}
		if err != nil {
			return fmt.Errorf("reading %q: %w", path, err)
		}
		return nil
	}
	var pending operation
	var latest, alone certificate
	var versions list
	if err := errors.Join(get("/pending", &pending), get("", &latest), get("/versions", &versions)); err != nil {
		return err
	}
	switch {
	case pending.RequestID != c.requestID:
		return fmt.Errorf("the operation is %s, acknowledged was %s", pending.RequestID, c.requestID)
	case pending.Status != "completed" || pending.Error != nil:
		return fmt.Errorf("the operation is %s, %v", pending.Status, pending.Error)
	case !bytes.Equal(pending.CSR, c.csr):
		return errors.New("the CSR is not the one that was acknowledged")
	case len(versions.Value) != 1 || versions.Value[0].version() != latest.version():
		return fmt.Errorf("versions %v, want the latest, %s, only", versions.Value, latest.version())
	}
	if err := get("/"+latest.version(), &alone); err != nil {
		return err
	}
	thumbprint := sha1.Sum(latest.Leaf)
	switch {
	case !bytes.Equal(alone.Leaf, latest.Leaf) || alone.ID != latest.ID:
		return fmt.Errorf("the version %s is not the latest, %s", alone.ID, latest.ID)
	case latest.Thumbprint != base64.RawURLEncoding.EncodeToString(thumbprint[:]):
		return fmt.Errorf("thumbprint %s is not the certificate's", latest.Thumbprint)
	case latest.KeyID != vaultURL+"/keys/"+c.name+"/"+latest.version() || latest.SecretID != vaultURL+"/secrets/"+c.name+"/"+latest.version():
		return fmt.Errorf("the key is %q and the secret %q", latest.KeyID, latest.SecretID)
	case !latest.Attributes.Enabled:
		return errors.New("it is disabled")
	case c.leaf != nil && !bytes.Equal(c.leaf, latest.Leaf):
		return errors.New("it is not what was merged")
	}
	if err := sameKey(c.csr, latest.Leaf); err != nil {
		return err
	}
	chain, err := b.chain(ctx, c.name, latest.version())
	if err == nil && !bytes.Equal(chain, latest.Leaf) {
		err = errors.New("the stored chain begins with another certificate")
	}
	return err
}

// sameKey checks that a certificate is for the key of a CSR.
func sameKey(csr, leaf []byte) error {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(leaf)
	if err != nil {
		return err
	}
	if !request.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(cert.PublicKey) {
		return errors.New("the certificate's key is not the CSR's")
	}
	return nil
}

// chain is the first certificate, in DER, of a version's stored chain.
func (b *backend) chain(ctx context.Context, name, version string) ([]byte, error) {
	client, err := azblob.NewClientFromConnectionString(b.storage.ConnectionString(), nil)
	if err != nil {
		return nil, err
	}
	stored, err := client.DownloadStream(ctx, "chains", name+"/"+version+".pem", nil)
	if err != nil {
		return nil, fmt.Errorf("reading the chain of %s/%s: %w", name, version, err)
	}
	defer stored.Body.Close()
	text, err := io.ReadAll(io.LimitReader(stored.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("the chain of %s/%s is not PEM", name, version)
	}
	return block.Bytes, nil
}
