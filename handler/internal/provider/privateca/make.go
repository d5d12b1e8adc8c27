package privateca

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
)

// Root is a CA to be made that nobody is above.
type Root struct {
	// Subject names the CA. It must have a common name.
	Subject pkix.Name

	// Years is how long it is valid, 1 to 30.
	Years int

	// Depth is how many CAs there may be in a chain below it, at most 8.
	Depth int

	// NameConstraints are those of its certificate; nil: none.
	NameConstraints *names.Permitted
}

// Certify makes the root's certificate, signed by its own key. random is the
// source of its serial number.
func (r Root) Certify(key crypto.Signer, now time.Time, random io.Reader) (*x509.Certificate, error) {
	switch {
	case r.Subject.CommonName == "":
		return nil, errors.New("making a root: no common name")
	case r.Years < 1 || r.Years > 30:
		return nil, fmt.Errorf("making a root: %d years: must be 1 to 30", r.Years)
	case r.Depth < 0 || r.Depth >= maxChain:
		return nil, fmt.Errorf("making a root: depth %d: must be 0 to %d", r.Depth, maxChain-1)
	}
	id, err := policy.KeyID(key.Public())
	if err != nil {
		return nil, fmt.Errorf("making a root: %w", err)
	}
	drawn, err := newState(id, now, random)
	if err != nil {
		return nil, fmt.Errorf("making a root: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(drawn.Serial),
		Subject:               r.Subject,
		NotBefore:             drawn.At.Add(-10 * time.Minute), // for clocks that are behind
		NotAfter:              drawn.At.AddDate(r.Years, 0, 0),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            r.Depth,
		MaxPathLenZero:        r.Depth == 0,
		KeyUsage:              caUsage,
		SubjectKeyId:          id,
	}
	if r.NameConstraints != nil {
		if err := r.NameConstraints.Check(); err != nil {
			return nil, fmt.Errorf("making a root: %w", err)
		}
		r.NameConstraints.Constrain(template)
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a root: %w", err)
	}
	return bounded.Certificate(der)
}

// RequestCA makes the CSR (DER) by which another CA certifies this one. How long,
// how deep and for which names is that one's decision.
func RequestCA(subject pkix.Name, key crypto.Signer) ([]byte, error) {
	if subject.CommonName == "" {
		return nil, errors.New("making a CA's CSR: no common name")
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: subject,
		ExtraExtensions: []pkix.Extension{
			{Id: oidBasicConstraints, Critical: true, Value: []byte{0x30, 0x03, 0x01, 0x01, 0xff}}, // CA:TRUE
			{Id: oidKeyUsage, Critical: true, Value: []byte{0x03, 0x02, 0x01, 0x06}},               // keyCertSign, cRLSign
		},
	}, key)
	if err != nil {
		return nil, fmt.Errorf("making a CA's CSR: %w", err)
	}
	return der, nil
}

// ParseChain reads a CA's certificate and those above it, in this order, from
// PEM, and checks them. Blocks of other types are passed over.
func ParseChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := bounded.Certificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(chain)+1, err)
		}
		chain = append(chain, c)
	}
	if err := CheckChain(chain); err != nil {
		return nil, err
	}
	return chain, nil
}

// CheckKey checks that key is that of the CA of a chain.
func CheckKey(chain []*x509.Certificate, key crypto.Signer) error {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(chain[0].PublicKey) {
		return fmt.Errorf("the key does not belong to %q", chain[0].Subject)
	}
	return nil
}

// Describe tells people which certificates a CA has.
func Describe(chain []*x509.Certificate) string {
	var b strings.Builder
	for _, c := range chain {
		depth := "any number of CAs below it"
		if c.MaxPathLen >= 0 {
			depth = fmt.Sprintf("at most %d CAs below it", c.MaxPathLen)
		}
		fmt.Fprintf(&b, "%s\n  issued by %s\n  serial number %x, key %x (%s)\n  SHA-256 fingerprint %x\n  valid from %s to %s, %s\n",
			c.Subject, c.Issuer, c.SerialNumber, c.SubjectKeyId, c.PublicKeyAlgorithm, sha256.Sum256(c.Raw),
			c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339), depth)
	}
	return b.String()
}
