package seal

import (
	"encoding/binary"
	"fmt"
)

const (
	formatV1   = 0x01
	maxKEKID   = 512  // a Key Vault key id is about 120 bytes
	maxWrapped = 1024 // RSA 4096 gives 512 bytes
)

// An envelope is a sealed value taken apart. See the package comment for its
// encoding.
type envelope struct {
	kekID      string
	wrapped    []byte
	nonce      []byte
	ciphertext []byte // with the GCM tag at its end
}

// encodeHeader encodes what precedes the ciphertext.
func encodeHeader(kekID string, wrapped, nonce []byte) ([]byte, error) {
	if n := len(kekID); n == 0 || n > maxKEKID {
		return nil, fmt.Errorf("key encryption key id of %d bytes, want 1 to %d", n, maxKEKID)
	}
	if n := len(wrapped); n == 0 || n > maxWrapped {
		return nil, fmt.Errorf("wrapped key of %d bytes, want 1 to %d", n, maxWrapped)
	}
	b := []byte{formatV1}
	b = binary.BigEndian.AppendUint16(b, uint16(len(kekID))) //nolint:gosec // at most maxKEKID
	b = append(b, kekID...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(wrapped))) //nolint:gosec // at most maxWrapped
	b = append(b, wrapped...)
	return append(b, nonce...), nil
}

// parse takes a sealed value apart; the result shares its memory.
func parse(sealed []byte) (envelope, error) {
	if len(sealed) == 0 {
		return envelope{}, fmt.Errorf("empty value: %w", ErrFormat)
	}
	if v := sealed[0]; v != formatV1 {
		return envelope{}, fmt.Errorf("format version %d: %w", v, ErrFormat)
	}
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
