package seal

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// maxKEKFile bounds what is read of a key file; 32 bytes are 44 in base64.
const maxKEKFile = 128

// A FileKEK is a key encryption key read from a local file. It is for
// development: the key lies beside the data that it protects.
//
// It wraps with AES-256-GCM: nonce (12 bytes), then ciphertext and tag, with the
// KEK id as additional authenticated data. It signs with HMAC-SHA256 under a key
// that HKDF-SHA256 derives of the file's, with the info
// "certwright/file-kek/sign/1". The id is "file:" and a fingerprint of the key, so a
// replaced file is told apart from damaged data.
type FileKEK struct {
	id  string
	gcm cipher.AEAD
	mac []byte
}

// NewFileKEK reads a key of 32 bytes in standard base64 from the file at path. It
// refuses a file that its group or others can read or write, and creates none.
func NewFileKEK(path string) (*FileKEK, error) {
	key, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading key encryption key %q: %w", path, err)
	}
	gcm, err := newGCM(key)
	if err != nil {
		return nil, fmt.Errorf("reading key encryption key %q: %w", path, err)
	}
	mac, err := hkdf.Key(sha256.New, key, nil, "certwright/file-kek/sign/1", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("reading key encryption key %q: %w", path, err)
	}
	fingerprint := sha256.Sum256(append([]byte("certwright/file-kek/v1"), key...))
	return &FileKEK{id: "file:" + hex.EncodeToString(fingerprint[:8]), gcm: gcm, mac: mac}, nil
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// Ask the open file, not the path: the path may name another file by now.
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file")
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("mode %04o grants access to others, want 0600", perm)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKEKFile))
	if err != nil {
		return nil, err
	}
	// The decoder's error is left out: it would quote where the key goes wrong.
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != dekSize {
		return nil, fmt.Errorf("does not hold %d bytes in base64", dekSize)
	}
	return key, nil
}

// Wrap encrypts dek under the file's key.
func (k *FileKEK) Wrap(_ context.Context, random io.Reader, dek []byte) (id string, wrapped []byte, err error) {
	nonce := make([]byte, nonceSize, nonceSize+len(dek)+tagSize)
	if _, err := io.ReadFull(random, nonce); err != nil {
		return "", nil, fmt.Errorf("wrapping with %q: reading randomness: %w", k.id, err)
	}
	return k.id, k.gcm.Seal(nonce, nonce, dek, []byte(k.id)), nil
}

// Unwrap decrypts a DEK that a FileKEK with the same key wrapped.
func (k *FileKEK) Unwrap(_ context.Context, id string, wrapped []byte) ([]byte, error) {
	if err := k.own(id); err != nil {
		return nil, err
	}
	if len(wrapped) < nonceSize {
		return nil, fmt.Errorf("unwrapping with %q: %w", k.id, ErrRefused)
	}
	dek, err := k.gcm.Open(nil, wrapped[:nonceSize], wrapped[nonceSize:], []byte(k.id))
	if err != nil {
		return nil, fmt.Errorf("unwrapping with %q: %w", k.id, ErrRefused)
	}
	return dek, nil
}

// own refuses the id of any other key.
func (k *FileKEK) own(id string) error {
	if id != k.id {
		return fmt.Errorf("sealed under %q, but the key at hand is %q: %w", id, k.id, ErrUnknownKEK)
	}
	return nil
}

// Check has nobody to ask: what it has in memory stays.
func (k *FileKEK) Check(ctx context.Context, id string, wrapped []byte) error {
	_, err := k.Unwrap(ctx, id, wrapped)
	return err
}

// Sign returns the HMAC of a message.
func (k *FileKEK) Sign(_ context.Context, id string, message []byte) ([]byte, error) {
	if err := k.own(id); err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, k.mac)
	h.Write(message)
	return h.Sum(nil), nil
}

// Verify compares the HMAC of a message.
func (k *FileKEK) Verify(ctx context.Context, id string, message, signature []byte) error {
	want, err := k.Sign(ctx, id, message)
	if err != nil {
		return err
	}
	if !hmac.Equal(want, signature) {
		return fmt.Errorf("signature of %q: %w", k.id, ErrRefused)
	}
	return nil
}
