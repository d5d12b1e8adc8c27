package pbe

import (
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

// hashing is a hash function with what RFC 7292 calls v, its block size.
type hashing struct {
	new   func() hash.Hash
	size  int
	block int
	cost  int64 // of one block, in blocks of SHA-256
}

var (
	md5Hash    = hashing{md5.New, md5.Size, md5.BlockSize, 1}
	sha1Hash   = hashing{sha1.New, sha1.Size, sha1.BlockSize, 1}
	sha224Hash = hashing{sha256.New224, sha256.Size224, sha256.BlockSize, 1}
	sha256Hash = hashing{sha256.New, sha256.Size, sha256.BlockSize, 1}
	sha384Hash = hashing{sha512.New384, sha512.Size384, sha512.BlockSize, 3}
	sha512Hash = hashing{sha512.New, sha512.Size, sha512.BlockSize, 3}
)

// hashes is what deriving size bytes costs.
func (h hashing) hashes(iterations, size int) int64 {
	outputs := (size + h.size - 1) / h.size
	return h.cost * int64(iterations) * int64(outputs)
}

// What bytes of the PKCS #12 derivation are for. RFC 7292 appendix B.3.
const (
	forKey = 1
	forIV  = 2
	forMAC = 3
)

// pkcs12Key derives bytes from a password as PKCS #12 does. RFC 7292 appendix B.2.
func pkcs12Key(h hashing, password, salt []byte, iterations int, purpose byte, size int) []byte {
	input := append(repeated(salt, h.block), repeated(password, h.block)...)
	diversifier := make([]byte, h.block)
	for i := range diversifier {
		diversifier[i] = purpose
	}
	var out []byte
	digest := h.new()
	for {
		digest.Reset()
		digest.Write(diversifier)
		digest.Write(input)
		a := digest.Sum(nil)
		for range iterations - 1 {
			digest.Reset()
			digest.Write(a)
			a = digest.Sum(a[:0])
		}
		out = append(out, a...)
		if len(out) >= size {
			return out[:size]
		}
		// Each block of the input grows by one more than the blocks of a.
		b := repeated(a, h.block)[:h.block]
		for start := 0; start < len(input); start += h.block {
			carry := 1
			for i := h.block - 1; i >= 0; i-- {
				carry += int(input[start+i]) + int(b[i])
				input[start+i] = byte(carry & 0xff)
				carry >>= 8
			}
		}
	}
}

// repeated is data over and over, to a multiple of so many bytes.
func repeated(data []byte, block int) []byte {
	if len(data) == 0 {
		return nil
	}
	out := make([]byte, (len(data)+block-1)/block*block)
	for i := range out {
		out[i] = data[i%len(data)]
	}
	return out
}

// pbkdf1 derives as many bytes as the hash has. RFC 8018 section 5.1.
func pbkdf1(h hashing, password string, salt []byte, iterations int) []byte {
	digest := h.new()
	digest.Write([]byte(password))
	digest.Write(salt)
	sum := digest.Sum(nil)
	for range iterations - 1 {
		digest.Reset()
		digest.Write(sum)
		sum = digest.Sum(sum[:0])
	}
	return sum
}

// pbkdf2Key is RFC 8018 section 5.2.
func pbkdf2Key(h hashing, password string, salt []byte, iterations, size int) ([]byte, error) {
	return pbkdf2.Key(h.new, password, salt, iterations, size)
}
