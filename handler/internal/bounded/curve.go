package bounded

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// curves are those of crypto/x509 (RFC 5480 section 2.1.1.1).
var curves = []asn1.ObjectIdentifier{
	{1, 3, 132, 0, 33},          // P-224
	{1, 2, 840, 10045, 3, 1, 7}, // P-256
	{1, 3, 132, 0, 34},          // P-384
	{1, 3, 132, 0, 35},          // P-521
}

// curveNames are of those that people ask about.
var curveNames = map[string]string{
	"1.3.132.0.10":          "P-256K (secp256k1)",
	"1.3.36.3.3.2.8.1.1.7":  "brainpoolP256r1",
	"1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
	"1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
}

// CurveError says that an EC key is on a curve that is not read here.
type CurveError struct {
	ID asn1.ObjectIdentifier // nil: the parameters do not name a curve
}

func (e *CurveError) Error() string {
	const allowed = "must be P-256, P-384 or P-521"
	if e.ID == nil {
		return "the EC key gives its curve by parameters instead of a name: the curve " + allowed
	}
	name := curveNames[e.ID.String()]
	if name == "" {
		name = e.ID.String()
	}
	return fmt.Sprintf("the EC key is on the curve %s: %s", name, allowed)
}

// checkCurve checks the parameters of an EC key. The error is a *CurveError.
func checkCurve(parameters cryptobyte.String) error {
	var id asn1.ObjectIdentifier
	if !parameters.ReadASN1ObjectIdentifier(&id) {
		return &CurveError{}
	}
	for _, known := range curves {
		if known.Equal(id) {
			return nil
		}
	}
	return &CurveError{id}
}

// SEC1 reads an EC private key (RFC 5915). The error is a *CurveError or one of
// crypto/x509.
func SEC1(der []byte) (*ecdsa.PrivateKey, error) {
	var key, parameters cryptobyte.String
	var present bool
	var version int
	input := cryptobyte.String(der)
	if input.ReadASN1(&key, cbasn1.SEQUENCE) && key.ReadASN1Integer(&version) && key.SkipASN1(cbasn1.OCTET_STRING) &&
		key.ReadOptionalASN1(&parameters, &present, cbasn1.Tag(0).ContextSpecific().Constructed()) && present {
		if err := checkCurve(parameters); err != nil {
			return nil, err
		}
	}
	return x509.ParseECPrivateKey(der)
}
