package chain

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"
	"strings"

	"github.com/smallstep/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certwright/certwright/handler/internal/field"
)

// Limits of what a merge may bring.
const (
	maxX5CEntries = 50
	maxX5CBytes   = 256 << 10 // of all entries as sent
	MaxChain      = 10        // certificates, without duplicates
	maxWrappings  = 3         // of base64 around one entry
	maxBundle     = 64 << 10  // of a PKCS #7 bundle
)

// ParseX5C reads the certificates of a merge, in the order in which they were
// sent and each once. The API asks for base64 of DER; what clients send is also
// base64 of that base64, PEM, base64 of PEM, and PKCS #7 bundles as CAs hand
// them out, in all these forms. The error is a BadParameter.
func ParseX5C(entries []string) ([]*x509.Certificate, error) {
	total := 0
	for _, entry := range entries {
		total += len(entry)
	}
	if len(entries) > maxX5CEntries || total > maxX5CBytes {
		return nil, field.Errorf("x5c", "%d entries of %d bytes: must be at most %d of %d", len(entries), total, maxX5CEntries, maxX5CBytes)
	}
	var certs []*x509.Certificate
	for _, entry := range entries {
		found, err := decodeX5C([]byte(entry), maxWrappings)
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			if !slices.ContainsFunc(certs, c.Equal) {
				certs = append(certs, c)
			}
		}
		if len(certs) > MaxChain {
			return nil, field.Errorf("x5c", "must have at most %d certificates", MaxChain)
		}
	}
	if len(certs) == 0 {
		return nil, &field.Error{Detail: "Property x5c has invalid value X5C must has at least one valid item"}
	}
	return certs, nil
}

// decodeX5C reads an entry, or what was found below wrappings of base64. Which
// of the forms it is shows in the data: DER of a certificate has bytes that are
// no base64, and base64 has no hyphens in a row.
func decodeX5C(data []byte, wrappings int) ([]*x509.Certificate, error) {
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return decodePEM(data)
	}
	if inner, ok := decodeBase64(data); ok && wrappings > 0 {
		return decodeX5C(inner, wrappings-1)
	}
	return decodeDER(data)
}

// decodeBase64 reads base64 of either alphabet, with or without padding and
// line breaks.
func decodeBase64(data []byte) ([]byte, bool) {
	text := strings.Join(strings.Fields(string(data)), "")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	out, err := base64.RawStdEncoding.DecodeString(text)
	return out, err == nil
}

// decodePEM reads the certificates and bundles among PEM blocks.
func decodePEM(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	blocks := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		blocks++
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "PKCS7", "PKCS #7 SIGNED DATA", "CMS":
			found, err := decodeDER(block.Bytes)
			if err != nil {
				return nil, err
			}
			certs = append(certs, found...)
		}
	}
	if blocks == 0 {
		return nil, errBadTag(errors.New("malformed PEM"))
	}
	return certs, nil
}

// decodeDER reads a certificate, several in a row, or a bundle.
func decodeDER(der []byte) ([]*x509.Certificate, error) {
	if len(der) == 0 {
		return nil, nil
	}
	if isContentInfo(der) {
		return decodeBundle(der)
	}
	certs, err := x509.ParseCertificates(der)
	if err == nil {
		return certs, nil
	}
	if input := cryptobyte.String(der); !input.SkipASN1(asn1.SEQUENCE) {
		return nil, errBadTag(err)
	}
	// Among these are certificates of keys on curves that crypto/x509 does not
	// have, secp256k1 for one.
	return nil, field.Errorf("x5c", "a certificate that cannot be read: %v", err)
}

// isContentInfo reports whether BER starts like a PKCS #7 ContentInfo: a
// SEQUENCE whose first element is an OID, while a certificate's first is a
// SEQUENCE. RFC 2315 section 7.
func isContentInfo(ber []byte) bool {
	if len(ber) < 3 || ber[0] != 0x30 {
		return false
	}
	header := 2
	if ber[1] > 0x80 {
		header += int(ber[1] & 0x7f)
	}
	return len(ber) > header && ber[header] == 0x06
}

// decodeBundle reads the certificates of a PKCS #7 SignedData.
func decodeBundle(ber []byte) ([]*x509.Certificate, error) {
	// Bringing BER into DER takes time that grows with the square of the size.
	if len(ber) > maxBundle {
		return nil, field.Errorf("x5c", "a PKCS #7 bundle of %d bytes: must be at most %d", len(ber), maxBundle)
	}
	bundle, err := pkcs7.Parse(ber)
	if err != nil {
		return nil, field.Errorf("x5c", "a PKCS #7 bundle that cannot be read: %v", err)
	}
	return bundle.Certificates, nil
}

// errBadTag is Key Vault's answer to what is no ASN.1.
func errBadTag(cause error) error {
	return &field.Error{Detail: "ASN1 bad tag value met.", Err: cause}
}
