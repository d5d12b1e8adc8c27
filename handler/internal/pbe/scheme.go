package pbe

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rc4"
	"encoding/asn1"
	"errors"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/scrypt"
)

// Scheme is how a content was encrypted, with its parameters.
type Scheme struct {
	hashes int64 // that deriving takes
	derive func(Password) (key, iv []byte, err error)
	open   func(key, iv, ciphertext []byte) ([]byte, error)
	utf8   bool // the null password and the empty one are the same
}

// ReadScheme reads an AlgorithmIdentifier from DER. The error is an
// *UnsupportedError, a *MalformedError or ErrTooCostly.
func ReadScheme(der *cryptobyte.String) (*Scheme, error) {
	oid, parameters, ok := readAlgorithm(der)
	if !ok {
		return nil, &MalformedError{Part: "encryption algorithm"}
	}
	if oid == "1.2.840.113549.1.5.13" {
		return readPBES2(parameters)
	}
	old, known := oldSchemes[oid]
	if !known {
		return nil, &UnsupportedError{"encryption algorithm", oid}
	}
	var salt cryptobyte.String
	if !parameters.ReadASN1(&parameters, cbasn1.SEQUENCE) || !parameters.ReadASN1(&salt, cbasn1.OCTET_STRING) {
		return nil, &MalformedError{Part: "salt of the encryption algorithm"}
	}
	iterations, err := readIterations(&parameters)
	if err != nil {
		return nil, err
	}
	return old(salt, iterations), nil
}

// Decrypt opens what was encrypted under a password. The error is ErrWrongPassword
// where that shows, which is not always: the caller looks at what comes out.
// Others are ErrTooCostly, a *MalformedError and the error of ctx.
func (s *Scheme) Decrypt(ctx context.Context, w *Work, p Password, ciphertext []byte) ([]byte, error) {
	if err := w.spend(ctx, s.hashes); err != nil {
		return nil, err
	}
	key, iv, err := s.derive(p)
	if err != nil {
		return nil, err
	}
	return s.open(key, iv, ciphertext)
}

// Try opens a content with the first of several passwords that makes right of what
// comes out, and puts that password first.
func (s *Scheme) Try(ctx context.Context, w *Work, passwords []Password, ciphertext []byte, right func([]byte) bool) ([]byte, error) {
	for i, p := range passwords {
		if s.utf8 && i > 0 {
			break
		}
		plain, err := s.Decrypt(ctx, w, p, ciphertext)
		switch {
		case err == nil && right(plain):
			passwords[0], passwords[i] = passwords[i], passwords[0]
			return plain, nil
		case err != nil && !errors.Is(err, ErrWrongPassword):
			return nil, err
		}
	}
	return nil, ErrWrongPassword
}

// readAlgorithm reads an AlgorithmIdentifier; parameters are one element, or
// nothing where there are none.
func readAlgorithm(der *cryptobyte.String) (oid string, parameters cryptobyte.String, ok bool) {
	var id asn1.ObjectIdentifier
	if !der.ReadASN1(&parameters, cbasn1.SEQUENCE) || !parameters.ReadASN1ObjectIdentifier(&id) {
		return "", nil, false
	}
	return id.String(), parameters, true
}

// readIterations reads how often something is hashed.
func readIterations(der *cryptobyte.String) (int, error) {
	n := new(big.Int)
	switch {
	case !der.ReadASN1Integer(n) || n.Sign() <= 0:
		return 0, &MalformedError{Part: "iteration count"}
	case n.Cmp(big.NewInt(maxIterations)) > 0:
		return 0, ErrTooCostly
	}
	return int(n.Int64()), nil
}

// oldSchemes are those whose algorithm is a cipher and a derivation in one: PBES1
// (RFC 8018 appendix A.3) and PKCS #12 (RFC 7292 appendix C).
var oldSchemes = map[string]func(salt []byte, iterations int) *Scheme{
	"1.2.840.113549.1.5.3":    pbes1(md5Hash, newDES),
	"1.2.840.113549.1.5.6":    pbes1(md5Hash, newRC2of(64)),
	"1.2.840.113549.1.5.10":   pbes1(sha1Hash, newDES),
	"1.2.840.113549.1.5.11":   pbes1(sha1Hash, newRC2of(64)),
	"1.2.840.113549.1.12.1.1": pkcs12Scheme(16, 0, openRC4),
	"1.2.840.113549.1.12.1.2": pkcs12Scheme(5, 0, openRC4),
	"1.2.840.113549.1.12.1.3": pkcs12Scheme(24, des.BlockSize, openCBC(newTripleDES)),
	"1.2.840.113549.1.12.1.4": pkcs12Scheme(16, des.BlockSize, openCBC(newTwoKeyTripleDES)),
	"1.2.840.113549.1.12.1.5": pkcs12Scheme(16, rc2Block, openCBC(newRC2of(128))),
	"1.2.840.113549.1.12.1.6": pkcs12Scheme(5, rc2Block, openCBC(newRC2of(40))),
}

type newBlock func(key []byte) (cipher.Block, error)

func newDES(key []byte) (cipher.Block, error)       { return des.NewCipher(key) }
func newTripleDES(key []byte) (cipher.Block, error) { return des.NewTripleDESCipher(key) }

func newTwoKeyTripleDES(key []byte) (cipher.Block, error) {
	return newTripleDES(append(key[:16:16], key[:8]...))
}

func newRC2of(bits int) newBlock {
	return func(key []byte) (cipher.Block, error) { return newRC2(key, bits), nil }
}

// pbes1 takes key and initialisation vector, eight bytes each, from one hash. RFC
// 8018 section 6.1.
func pbes1(h hashing, block newBlock) func([]byte, int) *Scheme {
	return func(salt []byte, iterations int) *Scheme {
		return &Scheme{
			hashes: h.hashes(iterations, h.size),
			derive: func(p Password) (key, iv []byte, err error) {
				both := pbkdf1(h, p.utf8, salt, iterations)
				return both[:8], both[8:16], nil
			},
			open: openCBC(block),
			utf8: true,
		}
	}
}

func pkcs12Scheme(keySize, ivSize int, open func(key, iv, ciphertext []byte) ([]byte, error)) func([]byte, int) *Scheme {
	return func(salt []byte, iterations int) *Scheme {
		return &Scheme{
			hashes: sha1Hash.hashes(iterations, keySize) + sha1Hash.hashes(iterations, ivSize),
			derive: func(p Password) (key, iv []byte, err error) {
				key = pkcs12Key(sha1Hash, p.bmp, salt, iterations, forKey, keySize)
				if ivSize > 0 {
					iv = pkcs12Key(sha1Hash, p.bmp, salt, iterations, forIV, ivSize)
				}
				return key, iv, nil
			},
			open: open,
		}
	}
}

// readPBES2 reads a derivation and a cipher. RFC 8018 appendix A.4.
func readPBES2(parameters cryptobyte.String) (*Scheme, error) {
	if !parameters.ReadASN1(&parameters, cbasn1.SEQUENCE) {
		return nil, &MalformedError{Part: "parameters of PBES2"}
	}
	derivation := parameters
	if !parameters.SkipASN1(cbasn1.SEQUENCE) {
		return nil, &MalformedError{Part: "parameters of PBES2"}
	}
	c, err := readCipher(&parameters)
	if err != nil {
		return nil, err
	}
	kdf, err := readDerivation(&derivation, c.keySize)
	if err != nil {
		return nil, err
	}
	return &Scheme{
		hashes: kdf.hashes,
		derive: func(p Password) (key, iv []byte, err error) {
			key, err = kdf.derive(p.utf8)
			return key, c.iv, err
		},
		open: openCBC(c.block),
		utf8: true,
	}, nil
}

// derivation makes a key of a password's text.
type derivation struct {
	hashes int64
	derive func(password string) ([]byte, error)
}

// readDerivation reads the function that derives a key of so many bytes, or of
// anySize.
func readDerivation(der *cryptobyte.String, keySize int) (derivation, error) {
	oid, parameters, ok := readAlgorithm(der)
	if !ok || !parameters.ReadASN1(&parameters, cbasn1.SEQUENCE) {
		return derivation{}, &MalformedError{Part: "key derivation function"}
	}
	var salt cryptobyte.String
	if !parameters.ReadASN1(&salt, cbasn1.OCTET_STRING) {
		return derivation{}, &MalformedError{Part: "salt of the key derivation function"}
	}
	switch oid {
	case "1.2.840.113549.1.5.12":
		return readPBKDF2(salt, parameters, keySize)
	case "1.3.6.1.4.1.11591.4.11":
		return readScrypt(salt, parameters, keySize)
	}
	return derivation{}, &UnsupportedError{"key derivation function", oid}
}

// readPBKDF2 reads what follows the salt. RFC 8018 appendix A.2.
func readPBKDF2(salt []byte, parameters cryptobyte.String, keySize int) (derivation, error) {
	iterations, err := readIterations(&parameters)
	if err != nil {
		return derivation{}, err
	}
	keySize, err = readKeySize(&parameters, keySize)
	if err != nil {
		return derivation{}, err
	}
	h := sha1Hash // the DEFAULT
	if !parameters.Empty() {
		if h, err = readHMAC(&parameters); err != nil {
			return derivation{}, err
		}
	}
	return derivation{
		hashes: 2 * h.hashes(iterations, keySize), // HMAC hashes twice
		derive: func(password string) ([]byte, error) { return pbkdf2Key(h, password, salt, iterations, keySize) },
	}, nil
}

// maxScryptMemory is OpenSSL's limit, in bytes; its own files take half of it.
const maxScryptMemory = 32 << 20

// readScrypt reads what follows the salt. RFC 7914 section 7.1.
func readScrypt(salt []byte, parameters cryptobyte.String, keySize int) (derivation, error) {
	var n, r, p int
	for _, number := range []*int{&n, &r, &p} {
		value := new(big.Int)
		switch {
		case !parameters.ReadASN1Integer(value) || value.Sign() <= 0:
			return derivation{}, &MalformedError{Part: "cost of scrypt"}
		case value.Cmp(big.NewInt(maxScryptMemory)) > 0:
			return derivation{}, ErrTooCostly
		}
		*number = int(value.Int64())
	}
	keySize, err := readKeySize(&parameters, keySize)
	if err != nil {
		return derivation{}, err
	}
	// Each of the numbers is below 2^26, two of them below 2^52.
	if n&(n-1) != 0 || n == 1 {
		return derivation{}, &MalformedError{Part: "cost of scrypt"}
	}
	const block = 128 // bytes
	if n*r > maxScryptMemory/block || p*r > maxScryptMemory/block {
		return derivation{}, ErrTooCostly
	}
	return derivation{
		hashes: 4 * int64(n) * int64(r) * int64(p), // mixing a block takes about as long as four hashes
		derive: func(password string) ([]byte, error) {
			return scrypt.Key([]byte(password), salt, n, r, p, keySize)
		},
	}, nil
}

// anySize is the size of a key that its use does not determine.
const anySize = 0

// readKeySize reads the length of a key, which is optional where its use
// determines it.
func readKeySize(parameters *cryptobyte.String, want int) (int, error) {
	const maxSize = 64 // of HMAC-SHA-512
	if want != anySize && !parameters.PeekASN1Tag(cbasn1.INTEGER) {
		return want, nil
	}
	var size int
	if !parameters.ReadASN1Integer(&size) || size < 1 || size > maxSize || want != anySize && size != want {
		return 0, &MalformedError{Part: "length of the derived key"}
	}
	return size, nil
}

// hmacs are the algorithms of RFC 8018 appendix B.1.
var hmacs = map[string]hashing{
	"1.2.840.113549.2.7":  sha1Hash,
	"1.2.840.113549.2.8":  sha224Hash,
	"1.2.840.113549.2.9":  sha256Hash,
	"1.2.840.113549.2.10": sha384Hash,
	"1.2.840.113549.2.11": sha512Hash,
}

func readHMAC(der *cryptobyte.String) (hashing, error) {
	oid, _, ok := readAlgorithm(der)
	if !ok {
		return hashing{}, &MalformedError{Part: "pseudorandom function"}
	}
	h, known := hmacs[oid]
	if !known {
		return hashing{}, &UnsupportedError{"pseudorandom function", oid}
	}
	return h, nil
}

// blockCipher is one in CBC mode.
type blockCipher struct {
	block   newBlock
	keySize int
	iv      []byte
}

// ciphers are the algorithms of RFC 8018 appendix B.2 whose parameters are an
// initialisation vector.
var ciphers = map[string]struct {
	block           newBlock
	keySize, ivSize int
}{
	"1.3.14.3.2.7":            {newDES, 8, des.BlockSize},
	"1.2.840.113549.3.7":      {newTripleDES, 24, des.BlockSize},
	"2.16.840.1.101.3.4.1.2":  {aes.NewCipher, 16, aes.BlockSize},
	"2.16.840.1.101.3.4.1.22": {aes.NewCipher, 24, aes.BlockSize},
	"2.16.840.1.101.3.4.1.42": {aes.NewCipher, 32, aes.BlockSize},
}

func readCipher(der *cryptobyte.String) (blockCipher, error) {
	oid, parameters, ok := readAlgorithm(der)
	if !ok {
		return blockCipher{}, &MalformedError{Part: "encryption scheme"}
	}
	c, known := ciphers[oid]
	if !known {
		return blockCipher{}, &UnsupportedError{"encryption scheme", oid}
	}
	var iv cryptobyte.String
	if !parameters.ReadASN1(&iv, cbasn1.OCTET_STRING) || len(iv) != c.ivSize {
		return blockCipher{}, &MalformedError{Part: "initialisation vector"}
	}
	return blockCipher{c.block, c.keySize, iv}, nil
}

func openRC4(key, _, ciphertext []byte) ([]byte, error) {
	c, err := rc4.NewCipher(key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(ciphertext))
	c.XORKeyStream(plain, ciphertext)
	return plain, nil
}

// openCBC decrypts and takes the padding off. RFC 8018 section 6.1.1.
func openCBC(newCipher newBlock) func(key, iv, ciphertext []byte) ([]byte, error) {
	return func(key, iv, ciphertext []byte) ([]byte, error) {
		block, err := newCipher(key)
		if err != nil {
			return nil, err
		}
		size := block.BlockSize()
		if len(ciphertext) == 0 || len(ciphertext)%size != 0 {
			return nil, &MalformedError{Part: "encrypted content"}
		}
		plain := make([]byte, len(ciphertext))
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, ciphertext)
		padding := int(plain[len(plain)-1])
		if padding == 0 || padding > size {
			return nil, ErrWrongPassword
		}
		for _, b := range plain[len(plain)-padding:] {
			if int(b) != padding {
				return nil, ErrWrongPassword
			}
		}
		return plain[:len(plain)-padding], nil
	}
}

// ReadEncryptedKey reads an EncryptedPrivateKeyInfo from DER (RFC 5208 section 6).
// The errors are those of ReadScheme.
func ReadEncryptedKey(der cryptobyte.String) (*Scheme, []byte, error) {
	var ciphertext cryptobyte.String
	if !der.ReadASN1(&der, cbasn1.SEQUENCE) {
		return nil, nil, &MalformedError{Part: "encrypted private key"}
	}
	scheme, err := ReadScheme(&der)
	if err != nil {
		return nil, nil, err
	}
	if !der.ReadASN1(&ciphertext, cbasn1.OCTET_STRING) {
		return nil, nil, &MalformedError{Part: "encrypted private key"}
	}
	return scheme, ciphertext, nil
}
