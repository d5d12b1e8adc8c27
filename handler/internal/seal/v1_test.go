package seal_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"io"
	"testing"

	"github.com/certwright/certwright/handler/internal/seal"
)

// v1Sealer seals as release 0.1.0 did, from the package comment, and opens as this
// one does.
type v1Sealer struct {
	*seal.Sealer
	vaultID string
	kek     seal.KEK
	random  io.Reader
}

func newV1Sealer(t testing.TB, vaultID string, kek seal.KEK, random io.Reader) *v1Sealer {
	t.Helper()
	if random == nil {
		random = rand.Reader
	}
	return &v1Sealer{newSealer(t, vaultID, kek, nil), vaultID, kek, random}
}

func (s *v1Sealer) Seal(ctx context.Context, kind, name, id string, plaintext []byte) ([]byte, error) {
	secret := make([]byte, 44)
	if _, err := io.ReadFull(s.random, secret); err != nil {
		return nil, err
	}
	kekID, wrapped, err := s.kek.Wrap(ctx, s.random, secret[:32])
	if err != nil {
		return nil, err
	}
	header := append([]byte{1}, field16(kekID)...)
	header = append(header, field16(string(wrapped))...)
	header = append(header, secret[32:]...)
	aad := []byte("certwright/seal/v1")
	for _, f := range []string{s.vaultID, kind, name, id} {
		aad = append(binary.BigEndian.AppendUint32(aad, uint32(len(f))), f...)
	}
	block, err := aes.NewCipher(secret[:32])
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return gcm.Seal(header, secret[32:], plaintext, aad), nil
}

func field16(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}
