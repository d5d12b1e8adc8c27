package settings

import (
	"crypto/x509"
	"encoding/hex"
)

// CAFiles is the path below which the app serves the files of private CAs: the
// certificate is the file NAME.cer, the CRL NAME.crl, where NAME is CAName.
const CAFiles = "/.well-known/certwright/"

// CAName names a CA's files, its CRL among them: its subject key identifier in
// hexadecimal. A CA that gets a new key gets a new CRL, and another provider with
// the same CA has the same.
func CAName(ca *x509.Certificate) string { return hex.EncodeToString(ca.SubjectKeyId) }
