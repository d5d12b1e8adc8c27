package seal

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

const (
	formatV1   = 0x01
	formatV2   = 0x02
	maxKEKID   = 512  // a Key Vault key id is about 120 bytes
	maxWrapped = 1024 // RSA 4096 gives 512 bytes
)

// An envelope is a sealed value of version 1 taken apart. See the package comment
// for its encoding.
type envelope struct {
	kekID      string
	wrapped    []byte
	nonce      []byte
	ciphertext []byte // with the GCM tag at its end
}

// sealedV2 is a sealed value of version 2 taken apart.
type sealedV2 struct {
	root       string // id of the root secret
	salt       []byte
	nonce      []byte
	header     []byte // all that precedes the ciphertext
	ciphertext []byte // with the GCM tag at its end
}

const headerV2 = 1 + rootIDSize + saltSize + nonceSize

// parseV2 takes a sealed value of version 2 apart; the result shares its memory.
func parseV2(sealed []byte) (sealedV2, error) {
	if n := len(sealed) - headerV2 - tagSize; n < 0 || n > MaxPlaintext {
		return sealedV2{}, fmt.Errorf("%d bytes: %w", len(sealed), ErrFormat)
	}
	header := sealed[:headerV2]
	root, rest := header[1:1+rootIDSize], header[1+rootIDSize:]
	return sealedV2{
		root:       hex.EncodeToString(root),
		salt:       rest[:saltSize],
		nonce:      rest[saltSize:],
		header:     header,
		ciphertext: sealed[headerV2:],
	}, nil
}

// parseV1 takes a sealed value of version 1 apart; the result shares its memory.
func parseV1(sealed []byte) (envelope, error) {
	kekID, rest, err := cutField(sealed[1:], "key encryption key id", maxKEKID)
	if err != nil {
		return envelope{}, err
	}
	wrapped, rest, err := cutField(rest, "wrapped key", maxWrapped)
	if err != nil {
		return envelope{}, err
	}
	if n := len(rest) - nonceSize - tagSize; n < 0 || n > MaxPlaintext {
		return envelope{}, fmt.Errorf("%d bytes after the header: %w", len(rest), ErrFormat)
	}
	return envelope{
		kekID:      string(kekID),
		wrapped:    wrapped,
		nonce:      rest[:nonceSize],
		ciphertext: rest[nonceSize:],
	}, nil
}

// cutField cuts a non-empty field of at most limit bytes, preceded by its length,
// off the front of b.
func cutField(b []byte, what string, limit int) (field, rest []byte, err error) {
	if len(b) < 2 {
		return nil, nil, fmt.Errorf("no %s: %w", what, ErrFormat)
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if n == 0 || n > limit || n > len(b) {
		return nil, nil, fmt.Errorf("%s of %d bytes: %w", what, n, ErrFormat)
	}
	return b[:n], b[n:], nil
}
