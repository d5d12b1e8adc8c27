package store

import "context"

// CRLs keeps the certificate revocation lists of private CAs, one for each CA,
// where whoever checks a certificate can get them. They are no part of a vault:
// each CA's is a blob of its own.
//
// Both methods are one call to the storage service. What SaveCRL accepted is
// durable when it returns and visible to every later LoadCRL.
type CRLs interface {
	// LoadCRL returns a CA's CRL (DER) with its ETag; nil when there is none.
	LoadCRL(ctx context.Context, ca string) (crl []byte, etag string, err error)

	// SaveCRL puts a CA's CRL in place of the one with the ETag, or of none when
	// it is empty. A ConflictError says that another one is there, which may be
	// the caller's own earlier try. Any other error leaves open whether the CRL
	// was saved.
	SaveCRL(ctx context.Context, ca string, crl []byte, etag string) error
}

// MaxCRL bounds a CRL in bytes.
const MaxCRL = 8 << 20

// CRLName is the name of the blob that holds a CA's CRL. The error refuses a name
// of a CA that no blob can have.
func CRLName(ca string) (string, error) {
	name := ca + ".crl"
	return name, CheckBlob(name, nil)
}
