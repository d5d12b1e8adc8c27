package pbe

import (
	"context"
	"crypto/hmac"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MAC authenticates a content by password.
type MAC struct {
	sum    []byte
	hash   hashing
	hashes int64
	derive func(Password) ([]byte, error)
}

// digests are the hash functions of a MAC: the algorithm's name is that of the
// hash. RFC 7292 appendix A.
var digests = map[string]hashing{
	"1.3.14.3.2.26":          sha1Hash,
	"2.16.840.1.101.3.4.2.4": sha224Hash,
	"2.16.840.1.101.3.4.2.1": sha256Hash,
	"2.16.840.1.101.3.4.2.2": sha384Hash,
	"2.16.840.1.101.3.4.2.3": sha512Hash,
}

// ReadMAC reads a MacData from DER (RFC 7292 section 4). The error is an
// *UnsupportedError, a *MalformedError or ErrTooCostly.
func ReadMAC(der *cryptobyte.String) (*MAC, error) {
	var data, info, sum, salt cryptobyte.String
	if !der.ReadASN1(&data, cbasn1.SEQUENCE) || !data.ReadASN1(&info, cbasn1.SEQUENCE) {
		return nil, &MalformedError{Part: "MAC"}
	}
	oid, parameters, ok := readAlgorithm(&info)
	if !ok || !info.ReadASN1(&sum, cbasn1.OCTET_STRING) || !data.ReadASN1(&salt, cbasn1.OCTET_STRING) {
		return nil, &MalformedError{Part: "MAC"}
	}
	if oid == "1.2.840.113549.1.5.14" {
		return readPBMAC1(parameters, sum) // and no salt and iterations but its own
	}
	h, known := digests[oid]
	if !known {
		return nil, &UnsupportedError{"MAC algorithm", oid}
	}
	iterations := 1 // the DEFAULT
	if !data.Empty() {
		var err error
		if iterations, err = readIterations(&data); err != nil {
			return nil, err
		}
	}
	return &MAC{
		sum:    sum,
		hash:   h,
		hashes: h.hashes(iterations, h.size),
		derive: func(p Password) ([]byte, error) {
			return pkcs12Key(h, p.bmp, salt, iterations, forMAC, h.size), nil
		},
	}, nil
}

// readPBMAC1 reads a derivation and an HMAC. RFC 9579 section 5.
func readPBMAC1(parameters cryptobyte.String, sum []byte) (*MAC, error) {
	if !parameters.ReadASN1(&parameters, cbasn1.SEQUENCE) {
		return nil, &MalformedError{Part: "MAC"}
	}
	derivation := parameters
	if !parameters.SkipASN1(cbasn1.SEQUENCE) {
		return nil, &MalformedError{Part: "MAC"}
	}
	h, err := readHMAC(&parameters)
	if err != nil {
		return nil, err
	}
	kdf, err := readDerivation(&derivation, anySize)
	if err != nil {
		return nil, err
	}
	return &MAC{
		sum:    sum,
		hash:   h,
		hashes: kdf.hashes,
		derive: func(p Password) ([]byte, error) { return kdf.derive(p.utf8) },
	}, nil
}

// Try looks which of several passwords authenticates a content, and puts it first.
// The error is ErrWrongPassword, ErrTooCostly or the error of ctx.
func (m *MAC) Try(ctx context.Context, w *Work, passwords []Password, content []byte) error {
	for i, p := range passwords {
		if err := w.spend(ctx, m.hashes); err != nil {
			return err
		}
		key, err := m.derive(p)
		if err != nil {
			return err
		}
		mac := hmac.New(m.hash.new, key)
		mac.Write(content)
		if hmac.Equal(mac.Sum(nil), m.sum) {
			passwords[0], passwords[i] = passwords[i], passwords[0]
			return nil
		}
	}
	return ErrWrongPassword
}
