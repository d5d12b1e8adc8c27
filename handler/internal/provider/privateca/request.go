package privateca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
)

// request is what a certificate is asked to be, in a policy or in a CSR.
type request struct {
	names     names.Set
	extension []pkix.Extension // the CSR's alternative names as they are
	keyUsage  x509.KeyUsage
	ekus      []asn1.ObjectIdentifier
	ca        bool
	ec        bool // the key is one for ECDSA and ECDH
}

// refusal says why something is not certified.
type refusal struct {
	field string // below policy
	why   string // without a full stop
}

func refuse(field, format string, args ...any) *refusal {
	return &refusal{field, fmt.Sprintf(format, args...)}
}

// keyUsages are Key Vault's names of key usages.
var keyUsages = map[string]x509.KeyUsage{
	"digitalSignature": x509.KeyUsageDigitalSignature,
	"nonRepudiation":   x509.KeyUsageContentCommitment,
	"keyEncipherment":  x509.KeyUsageKeyEncipherment,
	"dataEncipherment": x509.KeyUsageDataEncipherment,
	"keyAgreement":     x509.KeyUsageKeyAgreement,
	"keyCertSign":      x509.KeyUsageCertSign,
	"cRLSign":          x509.KeyUsageCRLSign,
	"encipherOnly":     x509.KeyUsageEncipherOnly,
	"decipherOnly":     x509.KeyUsageDecipherOnly,
}

// requestOfPolicy reads what the CSR of a policy will ask for, except its names.
func requestOfPolicy(p policy.Policy) (request, *refusal) {
	r := request{ca: p.X509.CA, ec: p.Key.Type == policy.KeyEC || p.Key.Type == policy.KeyECHSM}
	for _, name := range p.X509.KeyUsage {
		r.keyUsage |= keyUsages[name]
	}
	for _, text := range p.X509.EKUs {
		oid, err := parseOID(text)
		if err != nil {
			return request{}, refuse("x509_props.ekus", "%q is not an object identifier", text)
		}
		r.ekus = append(r.ekus, oid)
	}
	return r, nil
}

// Extensions of a CSR. RFC 5280 sections 4.2.1.3 to 4.2.1.12.
var (
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// requestOfCSR reads what a CSR asks for. It refuses what it does not know.
func requestOfCSR(csr *x509.CertificateRequest) (request, error) {
	asked, err := names.OfRequest(csr)
	if err != nil {
		return request{}, err
	}
	r := request{names: asked, ec: isEC(csr.PublicKey)}
	for _, e := range csr.Extensions {
		var err error
		switch {
		case e.Id.Equal(oidKeyUsage):
			var bits asn1.BitString
			if err = unmarshal(e.Value, &bits); err == nil {
				r.keyUsage = usageOf(bits)
			}
		case e.Id.Equal(oidExtKeyUsage):
			err = unmarshal(e.Value, &r.ekus)
		case e.Id.Equal(oidBasicConstraints):
			var constraints struct {
				CA         bool `asn1:"optional"`
				MaxPathLen int  `asn1:"optional,default:-1"`
			}
			err = unmarshal(e.Value, &constraints)
			r.ca = constraints.CA
		case e.Id.Equal(oidSubjectAltName):
			r.extension = append(r.extension, e)
		default:
			err = errors.New("is not known here")
		}
		if err != nil {
			return request{}, fmt.Errorf("extension %s: %w", e.Id, err)
		}
	}
	return r, nil
}

func isEC(pub crypto.PublicKey) bool {
	_, ok := pub.(*ecdsa.PublicKey)
	return ok
}

func unmarshal(der []byte, v any) error {
	rest, err := asn1.Unmarshal(der, v)
	if err == nil && len(rest) > 0 {
		err = errors.New("trailing data")
	}
	return err
}

// usageOf turns the bits of a KeyUsage around: its first is x509's lowest.
func usageOf(bits asn1.BitString) x509.KeyUsage {
	var usage x509.KeyUsage
	for n := range 9 {
		usage |= x509.KeyUsage(bits.At(n)) << n
	}
	return usage
}
