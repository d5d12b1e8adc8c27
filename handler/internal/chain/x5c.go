package chain

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/bundle"
	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/pemfile"
)

// MaxChain is how many certificates one version has at most. Key Vault is not known
// to have a limit.
const MaxChain = 100

// MaxIssued is how many certificates a CA returns at most. Each is verified, and
// looked for among the others.
const MaxIssued = 10

// Limits of what a merge may bring.
const (
	maxX5CEntries = 100
	maxX5CBytes   = 256 << 10 // of all entries as sent
	maxWrappings  = 3         // of base64 around one entry
)

// ParseX5C reads the certificates of a merge, in the order in which they were
// sent and each once. The API asks for base64 of DER; what clients send is also
// base64 of that base64, PEM, base64 of PEM, and the containers that package bundle
// reads, in all these forms. The error is a *field.Error, or that of ctx.
func ParseX5C(ctx context.Context, entries []string) ([]*x509.Certificate, error) {
	total := 0
	for _, entry := range entries {
		total += len(entry)
	}
	if len(entries) > maxX5CEntries || total > maxX5CBytes {
		return nil, field.Errorf("x5c", "%d entries of %d bytes: must be at most %d of %d", len(entries), total, maxX5CEntries, maxX5CBytes)
	}
	var certs []*x509.Certificate
	for _, entry := range entries {
		found, err := decodeX5C(ctx, []byte(entry), maxWrappings)
		if ended := context.Cause(ctx); err != nil && ended != nil {
			return nil, ended
		}
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
func decodeX5C(ctx context.Context, data []byte, wrappings int) ([]*x509.Certificate, error) {
	switch {
	case pemfile.Is(data):
		return decodePEM(ctx, data)
	case isPEM(data): // JavaScript programs take the first line off
		der, err := pemfile.WithoutBegin(data)
		if err != nil {
			return nil, errBadTag(err)
		}
		return decodeDER(ctx, der)
	}
	if inner, ok := field.Base64(string(data)); ok && wrappings > 0 {
		return decodeX5C(ctx, inner, wrappings-1)
	}
	return decodeDER(ctx, data)
}

// decodePEM reads the certificates and bundles among PEM blocks.
func decodePEM(ctx context.Context, data []byte) ([]*x509.Certificate, error) {
	blocks, err := pemfile.Blocks(data)
	if err != nil {
		return nil, errBadTag(err)
	}
	certs, err := certificatesOf(ctx, blocks)
	if err != nil {
		return nil, errBadTag(err)
	}
	return certs, nil
}

// decodeDER reads a certificate or a container of some.
func decodeDER(ctx context.Context, data []byte) ([]*x509.Certificate, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	found, err := bundle.Certificates(ctx, data)
	if errors.Is(err, bundle.ErrNotCertificates) {
		if input := cryptobyte.String(data); !input.SkipASN1(asn1.SEQUENCE) {
			return nil, errBadTag(nil)
		}
	}
	if err != nil {
		return nil, &field.Error{Field: "x5c", Detail: "certificates that cannot be read: " + err.Error(), Err: err}
	}
	var certs []*x509.Certificate
	for _, der := range found {
		c, err := bounded.Certificate(der)
		if err != nil {
			return nil, &field.Error{Field: "x5c", Detail: "a certificate that cannot be read: " + err.Error(), Err: err}
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// errBadTag is Key Vault's answer to what is no ASN.1, with the reason where one is
// known.
func errBadTag(cause error) error {
	const text = "ASN1 bad tag value met."
	if cause == nil {
		return &field.Error{Detail: text}
	}
	return because(text, cause)
}
