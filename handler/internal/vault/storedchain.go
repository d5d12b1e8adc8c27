package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/store"
)

// chain reads a version's certificates, leaf first. A blob that is not the one that
// was written for the version counts for nothing; versions of 0.1.0 have no sum, and
// are held to their leaf.
func (v *Vault) chain(ctx context.Context, ver *version) ([]*x509.Certificate, error) {
	data, err := v.cfg.Store.GetBlob(ctx, ver.Chain)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("reading the chain of version %q: %w", ver.ID, err)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	if len(ver.ChainSum) > 0 && !bytes.Equal(ver.ChainSum, sumOf(data)) {
		return nil, fmt.Errorf("blob %q is another than the chain of version %q: %w", ver.Chain, ver.ID, store.ErrNotAuthentic)
	}
	var der [][]byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		der = append(der, block.Bytes)
	}
	certs, err := chain.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("blob %q: %w", ver.Chain, err)
	}
	if !bytes.Equal(certs[0].Raw, ver.Leaf) {
		return nil, fmt.Errorf("blob %q has another leaf than version %q: %w", ver.Chain, ver.ID, store.ErrNotAuthentic)
	}
	return certs, nil
}

func sumOf(chain []byte) []byte {
	sum := sha256.Sum256(chain)
	return sum[:]
}

// keepsOrder reports whether preserveCertOrder was sent as true.
func keepsOrder(sent *bool) bool { return sent != nil && *sent }
