package vault

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/store"
)

// chain reads a version's certificates, leaf first.
func (v *Vault) chain(ctx context.Context, ver *version) ([]*x509.Certificate, error) {
	data, err := v.cfg.Store.GetBlob(ctx, ver.Chain)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("reading the chain of version %q: %w", ver.ID, err)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	var der [][]byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		der = append(der, block.Bytes)
	}
	return chain.Parse(der)
}

func sumOf(chain []byte) []byte {
	sum := sha256.Sum256(chain)
	return sum[:]
}
