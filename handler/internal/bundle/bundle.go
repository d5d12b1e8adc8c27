// Package bundle reads the containers of certificates that programs export and CAs
// hand out: a certificate, several in a row, PKCS #7, PKCS #12 without a password,
// and Java's PkiPath. What it finds is not parsed, so that whoever asks decides
// about a key or a serial number that crypto/x509 does not take.
package bundle

import (
	"context"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certwright/certwright/handler/internal/ber"
	"github.com/certwright/certwright/handler/internal/pbe"
	"github.com/certwright/certwright/handler/internal/pkcs12"
)

// ErrNotCertificates is about data that is none of the containers.
var ErrNotCertificates = errors.New("it is neither a certificate nor PKCS #7, PKCS #12 or PkiPath")

// Certificates returns the DER of each certificate in data, in the container's
// order; a private key in PKCS #12 is passed over. The error is ErrNotCertificates,
// a *pbe.MalformedError or *pbe.UnsupportedError about PKCS #7, or one of
// pkcs12.Decode.
func Certificates(ctx context.Context, data []byte) ([][]byte, error) {
	const sequence, integer, oid = byte(cbasn1.SEQUENCE), byte(cbasn1.INTEGER), byte(cbasn1.OBJECT_IDENTIFIER)
	switch tags := leading(data); {
	case tags[0] != sequence:
		return nil, ErrNotCertificates
	case tags[1] == oid:
		return fromPKCS7(data)
	case tags[1] == integer && pkcs12.Is(data):
		return fromPKCS12(ctx, data)
	case tags[1] != sequence:
		return nil, ErrNotCertificates
	case tags[2] == sequence: // a certificate's first element holds a version or a serial number
		return fromPath(data)
	default:
		return inARow(data)
	}
}

// leading are the tags of the first element, of the first in it, and of the first
// in that.
func leading(data []byte) (tags [3]byte) {
	for i := range tags {
		if len(data) < 2 {
			break
		}
		tags[i] = data[0]
		header := 2
		if data[1] > 0x80 {
			header += int(data[1] & 0x7f)
		}
		data = data[min(header, len(data)):]
	}
	return tags
}

func fromPKCS12(ctx context.Context, data []byte) ([][]byte, error) {
	file, err := pkcs12.Decode(ctx, data, "")
	if err != nil {
		return nil, err
	}
	var certs [][]byte
	for _, c := range file.Certificates {
		certs = append(certs, c.DER)
	}
	return certs, nil
}

// inARow reads DER of one or more certificates.
func inARow(der cryptobyte.String) ([][]byte, error) {
	var certs [][]byte
	for !der.Empty() {
		var cert cryptobyte.String
		if !der.ReadASN1Element(&cert, cbasn1.SEQUENCE) {
			return nil, ErrNotCertificates
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

// fromPath reads a SEQUENCE of certificates, the one nearest to the root first: so
// Java encodes a CertPath (ITU-T X.509 section 9.3).
func fromPath(der cryptobyte.String) ([][]byte, error) {
	if !der.ReadASN1(&der, cbasn1.SEQUENCE) {
		return nil, ErrNotCertificates
	}
	return inARow(der)
}

// maxCertificates bounds what one PKCS #7 bundle holds; .NET and Windows keep whole
// trust stores in them.
const maxCertificates = 500

// fromPKCS7 reads the certificates of a SignedData, whose signatures do not matter
// here. RFC 2315 sections 7 and 9.1, in BER.
func fromPKCS7(data []byte) ([][]byte, error) {
	malformed := func(err error) ([][]byte, error) {
		return nil, &pbe.MalformedError{Part: "PKCS #7 bundle", Err: err}
	}
	der, _, err := ber.ToDER(data)
	if err != nil {
		return malformed(err)
	}
	info := cryptobyte.String(der)
	var id asn1.ObjectIdentifier
	var certs, signed cryptobyte.String
	var version int
	tag0 := cbasn1.Tag(0).ContextSpecific().Constructed()
	switch {
	case !info.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&id):
		return malformed(nil)
	case !id.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}):
		return nil, &pbe.UnsupportedError{What: "type of PKCS #7 content", Name: id.String()}
	case !info.ReadASN1(&signed, tag0) || !signed.ReadASN1(&signed, cbasn1.SEQUENCE),
		!signed.ReadASN1Integer(&version) || !signed.SkipASN1(cbasn1.SET) || !signed.SkipASN1(cbasn1.SEQUENCE),
		!signed.ReadOptionalASN1(&certs, nil, tag0):
		return malformed(nil)
	}
	var found [][]byte
	for !certs.Empty() {
		var cert cryptobyte.String
		var tag cbasn1.Tag
		if !certs.ReadAnyASN1Element(&cert, &tag) {
			return malformed(nil)
		}
		if tag == cbasn1.SEQUENCE { // and not an attribute certificate
			found = append(found, cert)
		}
		if len(found) > maxCertificates {
			return malformed(errors.New("it has too many certificates"))
		}
	}
	return found, nil
}
