package pkcs12

import (
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certwright/certwright/handler/internal/pbe"
)

// Contents is what goes into a file.
type Contents struct {
	Key          []byte   // PrivateKeyInfo (RFC 5208 section 5); nil: certificates alone
	FriendlyName string   // of the key; empty: none
	Chain        [][]byte // DER of certificates, that of the key first
	LeafFirst    bool     // keep the order of Chain
}

// localKeyID ties a file's key to its certificate. It is the one that Windows and
// Key Vault write.
const localKeyID = "\x01\x00\x00\x00"

// Encode writes a file as Key Vault does: under the null password, first the key,
// then the certificates from the last of the chain to the first. .NET reverses what
// it loads, so there the key's certificate is the first. Salts are read from
// random; the same ones make the same file.
func Encode(random io.Reader, c Contents) ([]byte, error) {
	var safes []build
	if c.Key != nil {
		algorithm, ciphertext, err := pbe.Seal(random, pbe.Null, c.Key)
		if err != nil {
			return nil, fmt.Errorf("encrypting the key of PKCS #12: %w", err)
		}
		bags, err := marshal(keyBag(algorithm, ciphertext, c.FriendlyName))
		if err != nil {
			return nil, fmt.Errorf("encoding the key of PKCS #12: %w", err)
		}
		safes = append(safes, data(bags))
	}
	bags, err := marshal(certBags(c))
	if err != nil {
		return nil, fmt.Errorf("encoding the certificates of PKCS #12: %w", err)
	}
	algorithm, ciphertext, err := pbe.Seal(random, pbe.Null, bags)
	if err != nil {
		return nil, fmt.Errorf("encrypting the certificates of PKCS #12: %w", err)
	}
	authenticated, err := marshal(sequenceOf(append(safes, encryptedData(algorithm, ciphertext))...))
	if err != nil {
		return nil, fmt.Errorf("encoding PKCS #12: %w", err)
	}
	mac, err := pbe.Authenticate(random, pbe.Null, authenticated)
	if err != nil {
		return nil, fmt.Errorf("authenticating PKCS #12: %w", err)
	}
	return marshal(sequenceOf(integer(version), data(authenticated), raw(mac)))
}

// build adds an element.
type build = cryptobyte.BuilderContinuation

func marshal(element build) ([]byte, error) {
	var b cryptobyte.Builder
	element(&b)
	return b.Bytes()
}

func raw(der []byte) build { return func(b *cryptobyte.Builder) { b.AddBytes(der) } }

func integer(n int64) build { return func(b *cryptobyte.Builder) { b.AddASN1Int64(n) } }

func oid(id asn1.ObjectIdentifier) build {
	return func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(id) }
}

func octetString(content []byte) build {
	return func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) }
}

func tagged(tag cbasn1.Tag, elements ...build) build {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(tag, func(b *cryptobyte.Builder) {
			for _, element := range elements {
				element(b)
			}
		})
	}
}

func sequenceOf(elements ...build) build { return tagged(cbasn1.SEQUENCE, elements...) }

// data is a ContentInfo of what is not encrypted.
func data(content []byte) build {
	return sequenceOf(oid(oidData), tagged(explicit0, octetString(content)))
}

// encryptedData is a ContentInfo of an EncryptedData. RFC 2315 section 13.
func encryptedData(algorithm, ciphertext []byte) build {
	return sequenceOf(oid(oidEncrypted), tagged(explicit0, sequenceOf(
		integer(0), // its version
		sequenceOf(oid(oidData), raw(algorithm), tagged(tag0, raw(ciphertext))),
	)))
}

// keyBag is a SafeContents of an encrypted key.
func keyBag(algorithm, ciphertext []byte, name string) build {
	attributes := []build{localKey}
	if name != "" {
		attributes = append(attributes, attribute(oidFriendlyName, tagged(tagBMPString, raw(bmp(name)))))
	}
	return sequenceOf(sequenceOf(
		oid(oidShroudedBag),
		tagged(explicit0, sequenceOf(raw(algorithm), octetString(ciphertext))),
		tagged(cbasn1.SET, attributes...),
	))
}

// certBags is a SafeContents of the chain. Only the first of the chain has
// something to be found by, and only beside a key.
func certBags(c Contents) build {
	var bags []build
	for i, cert := range c.Chain {
		var attributes []build
		if i == 0 && c.Key != nil {
			attributes = []build{localKey}
		}
		bags = append(bags, sequenceOf(
			oid(oidCertBag),
			tagged(explicit0, sequenceOf(oid(oidX509), tagged(explicit0, octetString(cert)))),
			tagged(cbasn1.SET, attributes...),
		))
	}
	if !c.LeafFirst {
		slices.Reverse(bags)
	}
	return sequenceOf(bags...)
}

func attribute(id asn1.ObjectIdentifier, value build) build {
	return sequenceOf(oid(id), tagged(cbasn1.SET, value))
}

func localKey(b *cryptobyte.Builder) {
	attribute(oidLocalKeyID, octetString([]byte(localKeyID)))(b)
}

func bmp(text string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.BigEndian.AppendUint16(out, unit)
	}
	return out
}
