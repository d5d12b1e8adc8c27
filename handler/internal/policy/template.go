package policy

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"
)

// backdating is how long before its issuance Key Vault's own certificates are
// valid, for clocks that are behind.
const backdating = 10 * time.Minute

// Validity is the validity of a certificate that is issued at a time: from ten
// minutes before to the same day of the month so many months later, or the last
// of that month.
func (x X509Properties) Validity(at time.Time) (notBefore, notAfter time.Time) {
	at = at.UTC().Truncate(time.Second)
	notAfter = at.AddDate(0, x.ValidityMonths, 0)
	if notAfter.Day() != at.Day() { // ran over into the next month
		notAfter = notAfter.AddDate(0, 0, -notAfter.Day())
	}
	return at.Add(-backdating), notAfter
}

// Template is a certificate for a CSR, to be signed with
// [x509.CreateCertificate]. It has the CSR's subject and requested extensions
// byte for byte in the order of Key Vault's own certificates, then the
// identifiers of the signer's key and of its own. authorityKeyID is the signer's
// subject key identifier; nil when the certificate signs itself. The serial
// number is positive and has 16 octets from random.
func Template(csr *x509.CertificateRequest, x X509Properties, at time.Time, authorityKeyID []byte, random io.Reader) (*x509.Certificate, error) {
	var serial [16]byte
	if _, err := io.ReadFull(random, serial[:]); err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}
	serial[0] = serial[0]&0x7f | 0x40 // neither negative nor shorter
	subjectKeyID, err := KeyID(csr.PublicKey)
	if err != nil {
		return nil, err
	}
	if authorityKeyID == nil {
		authorityKeyID = subjectKeyID
	}
	authority, err := asn1.Marshal(authorityKeyIdentifier{authorityKeyID})
	if err != nil {
		return nil, fmt.Errorf("encoding an authority key identifier: %w", err)
	}
	subject, err := asn1.Marshal(subjectKeyID)
	if err != nil {
		return nil, fmt.Errorf("encoding a subject key identifier: %w", err)
	}
	extensions := slices.Clone(csr.Extensions)
	slices.SortStableFunc(extensions, func(a, b pkix.Extension) int { return cmp.Compare(extensionRank(a), extensionRank(b)) })
	extensions = append(extensions,
		pkix.Extension{Id: oidAuthorityKeyID, Value: authority},
		pkix.Extension{Id: oidSubjectKeyID, Value: subject},
	)
	notBefore, notAfter := x.Validity(at)
	return &x509.Certificate{
		SerialNumber:    new(big.Int).SetBytes(serial[:]),
		RawSubject:      csr.RawSubject,
		PublicKey:       csr.PublicKey,
		NotBefore:       notBefore,
		NotAfter:        notAfter,
		ExtraExtensions: extensions,
	}, nil
}

// authorityKeyIdentifier is the extension of RFC 5280 section 4.2.1.1.
type authorityKeyIdentifier struct {
	KeyID []byte `asn1:"tag:0"`
}

// extensionRank is a requested extension's place in Key Vault's certificates.
func extensionRank(e pkix.Extension) int {
	order := []asn1.ObjectIdentifier{oidKeyUsage, oidBasicConstraints, oidExtKeyUsage, OIDSubjectAltName}
	if i := slices.IndexFunc(order, e.Id.Equal); i >= 0 {
		return i
	}
	return len(order)
}

// KeyID is the subject key identifier of a public key: the leftmost 160 bits of
// the SHA-256 of its BIT STRING. RFC 7093 section 2, method 1.
func KeyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &spki); err != nil {
		return nil, fmt.Errorf("decoding a public key: %w", err)
	}
	sum := sha256.Sum256(spki.PublicKey.Bytes)
	return sum[:20], nil
}
