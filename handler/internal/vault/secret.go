package vault

import (
	"cmp"
	"context"
	"crypto"
	"fmt"
	"sync"

	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/policy"
)

// Secret is the backing secret of a version: its certificates and, when the
// policy says that it is exportable, its private key.
type Secret struct {
	Certificate
	Value []byte // by ContentType: PKCS #12 under the null password, or PEM with the key first
}

// Secret returns the backing secret of a version, of the latest when id is
// empty, in the form that as asks for, which is the version's own when nil. In PEM
// the leaf comes first and then the chain in its order, in PKCS #12 the other way
// round, unless the order was to be preserved.
//
// REST page: Get Secret.
func (v *Vault) Secret(ctx context.Context, n Name, id string, as *string) (Secret, error) {
	var contentType string
	if as != nil {
		var err error
		if contentType, err = policy.ParseContentType("outContentType", *as); err != nil {
			return Secret{}, err
		}
	}
	h, ver, err := v.completed(ctx, n, id, SecretNotFound)
	if err != nil {
		return Secret{}, err
	}
	if !ver.Enabled {
		return Secret{}, &Error{Reason: SecretDisabled, Name: n.text, Detail: "get"}
	}
	var key crypto.Signer
	var keyErr error
	var wg sync.WaitGroup
	if ver.Key.Exportable {
		wg.Go(func() { key, keyErr = v.privateKey(ctx, n, ver.KeyID) })
	}
	certs, err := v.chain(ctx, ver)
	wg.Wait()
	if err = cmp.Or(err, keyErr); err != nil {
		return Secret{}, err
	}
	s := Secret{Certificate: v.ofVersion(h, ver)}
	if as != nil {
		s.ContentType = contentType
	}
	if s.Value, err = (chain.Secret{ContentType: s.ContentType, Chain: certs, Key: key, KeepOrder: keepsOrder(ver.PreserveOrder)}).Encode(); err != nil {
		return Secret{}, fmt.Errorf("encoding the secret of %q: %w", n.text, err)
	}
	return s, nil
}

// completed finds a version of a certificate that is not deleted, the latest
// when id is empty; notFound is the reason when there is none.
func (v *Vault) completed(ctx context.Context, n Name, id string, notFound Reason) (*head, *version, error) {
	var h *head
	var ver *version
	var err error
	if id != "" {
		h, ver, err = v.headAndVersion(ctx, n, id)
	} else if h, err = v.liveHead(ctx, n); err == nil {
		ver = h.Latest
	}
	if reasonOf(err) == CertificateNotFound || err == nil && ver == nil {
		name := n.text
		if id != "" {
			name += "/" + id
		}
		err = &Error{Reason: notFound, Name: name}
	}
	return h, ver, err
}
