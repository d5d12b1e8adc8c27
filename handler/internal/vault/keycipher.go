package vault

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
)

// cipherAlgorithm is one of JWA's for an RSA key. RFC 7518 section 4.1.
type cipherAlgorithm struct {
	hash crypto.Hash // of RSAES-OAEP; zero: RSAES-PKCS1-v1_5
}

var cipherAlgorithms = map[string]cipherAlgorithm{
	"RSA1_5":       {},
	"RSA-OAEP":     {crypto.SHA1},
	"RSA-OAEP-256": {crypto.SHA256},
}

// maxPlain is how much a key can encrypt, in bytes. RFC 8017 sections 7.1.1 and
// 7.2.1.
func (a cipherAlgorithm) maxPlain(pub *rsa.PublicKey) int {
	if a.hash == 0 {
		return pub.Size() - 11
	}
	return pub.Size() - 2*a.hash.Size() - 2
}

// Encrypt encrypts with the public key of a version, of the latest when id is
// empty. operation is KeyEncrypt or KeyWrapKey, algorithm JWA's name. The Key says
// which version has encrypted.
//
// REST pages: Encrypt, Wrap Key.
func (v *Vault) Encrypt(ctx context.Context, n Name, id string, operation policy.KeyOperation, algorithm string, plain []byte) (Key, []byte, error) {
	k, ver, alg, pub, err := v.cipherKey(ctx, n, id, operation, algorithm)
	if err != nil {
		return Key{}, nil, err
	}
	if err := v.checkKeyTime(n, ver, string(operation)); err != nil {
		return Key{}, nil, err
	}
	if most := alg.maxPlain(pub); len(plain) == 0 || len(plain) > most {
		return Key{}, nil, &field.Error{
			Detail: fmt.Sprintf("Invalid length of 'value': %d bytes. %s with this key takes 1 to %d bytes, encoded with base64url.", len(plain), algorithm, most),
		}
	}
	var cipher []byte
	if alg.hash == 0 {
		cipher, err = rsa.EncryptPKCS1v15(rand.Reader, pub, plain) //nolint:staticcheck // clients of Key Vault ask for RSA1_5
	} else {
		cipher, err = rsa.EncryptOAEP(alg.hash.New(), rand.Reader, pub, plain, nil)
	}
	if err != nil {
		return Key{}, nil, fmt.Errorf("encrypting with the key of %q: %w", n.text, err)
	}
	return k, cipher, nil
}

// Decrypt is the reverse of Encrypt, with KeyDecrypt or KeyUnwrapKey. What was
// encrypted in time can be decrypted at any time.
//
// Every cipher text that cannot be decrypted is refused in the same words, and after
// a private-key operation, whatever is wrong with it. That does not keep the holder
// of the permission from telling good RSA1_5 paddings from others: that is an answer,
// or none (Bleichenbacher 1998). RSA-OAEP has nothing of the kind.
//
// REST pages: Decrypt, Unwrap Key.
func (v *Vault) Decrypt(ctx context.Context, n Name, id string, operation policy.KeyOperation, algorithm string, cipher []byte) (Key, []byte, error) {
	k, ver, alg, pub, err := v.cipherKey(ctx, n, id, operation, algorithm)
	if err != nil {
		return Key{}, nil, err
	}
	signer, err := v.privateKey(ctx, n, ver.KeyID)
	if err != nil {
		return Key{}, nil, err
	}
	key, ok := signer.(*rsa.PrivateKey)
	if !ok {
		return Key{}, nil, fmt.Errorf("decrypting with the key of %q: it is a %T", n.text, signer)
	}
	// A text that no key of this size makes is worked on all the same: 1 to the power
	// of anything is 1, which has no padding.
	if len(cipher) != pub.Size() {
		cipher = make([]byte, pub.Size())
		cipher[len(cipher)-1] = 1
	}
	var plain []byte
	if alg.hash == 0 {
		plain, err = rsa.DecryptPKCS1v15(nil, key, cipher) //nolint:staticcheck // as in Encrypt
	} else {
		plain, err = rsa.DecryptOAEP(alg.hash.New(), nil, key, cipher, nil)
	}
	if err != nil {
		return Key{}, nil, errUndecipherable
	}
	return k, plain, nil
}

// errUndecipherable says nothing about why.
var errUndecipherable = &field.Error{Detail: "The value cannot be decrypted with this key and algorithm."}

// cipherKey finds the key of a version and refuses what it cannot, or must not, do.
func (v *Vault) cipherKey(ctx context.Context, n Name, id string, operation policy.KeyOperation, algorithm string) (Key, *version, cipherAlgorithm, *rsa.PublicKey, error) {
	k, ver, err := v.permittedKey(ctx, n, id, string(operation))
	if err != nil {
		return Key{}, nil, cipherAlgorithm{}, nil, err
	}
	alg, known := cipherAlgorithms[algorithm]
	if !known {
		err = field.Errorf("alg", "%q: must be one of %s", algorithm, strings.Join(slices.Sorted(maps.Keys(cipherAlgorithms)), ", "))
	}
	pub, isRSA := k.Public.(*rsa.PublicKey)
	if !isRSA && err == nil { // keyOperations gives others none of these
		err = fmt.Errorf("%s with the key of %q: no algorithm for %T", operation, n.text, k.Public)
	}
	return k, ver, alg, pub, err
}
