package chain

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
)

// maxSkew is how far a CA's clock may be from ours.
const maxSkew = 5 * time.Minute

// Order brings certificates into the order leaf, its issuer, and so on up
// to the root; what does not belong to that chain follows in the given order.
// The leaf is the certificate of pub, of several the preferred one. Nothing is
// verified: as in Key Vault, who signed it is the caller's business. The error
// is a BadParameter.
func Order(certs []*x509.Certificate, pub crypto.PublicKey) ([]*x509.Certificate, error) {
	rest := slices.Clone(certs)
	slices.SortStableFunc(rest, preferAsLeaf)
	i := slices.IndexFunc(rest, func(c *x509.Certificate) bool { return policy.SamePublicKey(c.PublicKey, pub) })
	if i < 0 {
		return nil, keyMismatch(rest, pub)
	}
	chain := []*x509.Certificate{rest[i]}
	rest = slices.DeleteFunc(slices.Clone(certs), chain[0].Equal)
	for len(rest) > 0 {
		last := chain[len(chain)-1]
		i := issuerAmong(rest, last)
		if i < 0 || selfIssued(last) {
			break
		}
		chain = append(chain, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return append(chain, rest...), nil
}

// Arrange is Order, or with keepOrder the leaf and then the other certificates in the
// given order. The error is a *field.Error.
func Arrange(certs []*x509.Certificate, pub crypto.PublicKey, keepOrder bool) ([]*x509.Certificate, error) {
	chain, err := Order(certs, pub)
	if err != nil || !keepOrder {
		return chain, err
	}
	return append(chain[:1], slices.DeleteFunc(slices.Clone(certs), chain[0].Equal)...), nil
}

// preferAsLeaf orders end entities before CAs, newer before older.
func preferAsLeaf(a, b *x509.Certificate) int {
	if a.IsCA != b.IsCA {
		if b.IsCA {
			return -1
		}
		return 1
	}
	return cmp.Or(b.NotBefore.Compare(a.NotBefore), bytes.Compare(a.Raw, b.Raw))
}

// issuerAmong finds c's issuer by name, and by key identifier where several
// have the name. It returns -1 when there is none.
func issuerAmong(certs []*x509.Certificate, c *x509.Certificate) int {
	named := func(p *x509.Certificate) bool { return bytes.Equal(p.RawSubject, c.RawIssuer) }
	i := slices.IndexFunc(certs, func(p *x509.Certificate) bool {
		return named(p) && bytes.Equal(p.SubjectKeyId, c.AuthorityKeyId)
	})
	if i < 0 {
		i = slices.IndexFunc(certs, named)
	}
	return i
}

// keyMismatch is Key Vault's answer to a certificate of another key. Which keys
// these are helps to find the CSR that it belongs to.
func keyMismatch(certs []*x509.Certificate, pub crypto.PublicKey) error {
	const text = "The public key of the end-entity certificate in the specified X.509 certificate content does not match " +
		"the public part of the specified private key. Please check if certificate is valid."
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return fmt.Errorf("encoding a public key: %w", err)
	}
	return &field.Error{Detail: fmt.Sprintf("%s SHA-256 of the public keys: %s in the certificate, %s expected.",
		text, fingerprint(certs[0].RawSubjectPublicKeyInfo), fingerprint(spki))}
}

func fingerprint(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

// CheckIssued checks what an issuer returned, leaf first, against the CSR: the
// leaf has its key and no name that was not asked for, is valid now, and every
// certificate is signed by the next. A subject or an extended key usage that
// the CA left out is the CA's decision.
func CheckIssued(chain []*x509.Certificate, csr []byte, now time.Time) error {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return fmt.Errorf("reading the CSR: %w", err)
	}
	if len(chain) == 0 || len(chain) > MaxIssued {
		return fmt.Errorf("the chain has %d certificates: must be 1 to %d", len(chain), MaxIssued)
	}
	leaf := chain[0]
	if _, err := x509.ParseCertificate(leaf.Raw); err != nil {
		return err // what it stands for is judged by names that are well-formed
	}
	if !policy.SamePublicKey(leaf.PublicKey, request.PublicKey) {
		return fmt.Errorf("its public key has the SHA-256 %s, the CSR's %s",
			fingerprint(leaf.RawSubjectPublicKeyInfo), fingerprint(request.RawSubjectPublicKeyInfo))
	}
	if err := checkNames(leaf, request); err != nil {
		return err
	}
	if now.Add(-maxSkew).After(leaf.NotAfter) {
		return fmt.Errorf("it expired at %s", leaf.NotAfter.Format(time.RFC3339))
	}
	for i, issuer := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(issuer); err != nil {
			return fmt.Errorf("certificate %d of its chain is not signed by the next, %q: %w", i+1, subjectOf(issuer), err)
		}
	}
	if len(chain) == 1 && selfIssued(leaf) {
		if err := leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature); err != nil {
			return fmt.Errorf("it is not signed by itself: %w", err)
		}
	}
	if from := leaf.NotBefore.Add(-maxSkew); now.Before(from) {
		return &EarlyError{NotBefore: leaf.NotBefore, From: from}
	}
	return nil
}

// EarlyError says that a chain has nothing wrong but that its leaf is not valid yet.
type EarlyError struct {
	NotBefore time.Time // of the leaf
	From      time.Time // when CheckIssued will accept it
}

func (e *EarlyError) Error() string {
	return "it is not valid before " + e.NotBefore.Format(time.RFC3339)
}

// Within reports whether the leaf is valid at most a time later than now.
func (e *EarlyError) Within(d time.Duration, now time.Time) bool {
	return !e.NotBefore.After(now.Add(d))
}

// subjectOf is a certificate's subject for people.
func subjectOf(c *x509.Certificate) string { return NameText(c.RawSubject) }

// NameText is the DER of a Name for people.
func NameText(der []byte) string {
	text, err := policy.FormatSubject(der)
	if err != nil {
		return hex.EncodeToString(der)
	}
	return text
}

// generalName is a GeneralName in a form for comparisons.
type generalName struct {
	tag  asn1.Tag
	text string
}

// checkNames refuses a leaf that stands for more than was asked for. A CA may
// make a common name an alternative name, and the other way round.
func checkNames(leaf *x509.Certificate, request *x509.CertificateRequest) error {
	asked, err := generalNames(request.Extensions)
	if err != nil {
		return fmt.Errorf("reading the CSR: %w", err)
	}
	issued, err := generalNames(leaf.Extensions)
	if err != nil {
		return err
	}
	texts := map[string]bool{}
	for n := range asked {
		texts[n.text] = true
	}
	for _, cn := range commonNames(request.Subject) {
		texts[cn] = true
		asked[generalName{names.TagDNS, cn}] = true
		asked[generalName{names.TagEmail, cn}] = true
		if addr, err := netip.ParseAddr(cn); err == nil {
			asked[generalName{names.TagIP, addr.String()}] = true
		}
	}
	for n := range issued {
		if !asked[n] {
			return fmt.Errorf("it has the alternative name %q, which was not asked for", n.text)
		}
	}
	for _, cn := range commonNames(leaf.Subject) {
		if !texts[cn] {
			return fmt.Errorf("it has the common name %q, which was not asked for", cn)
		}
	}
	return nil
}

// commonNames are the common names of a subject in lower case.
func commonNames(subject pkix.Name) []string {
	var names []string
	for _, a := range subject.Names {
		if text, ok := a.Value.(string); ok && a.Type.String() == "2.5.4.3" {
			names = append(names, strings.ToLower(text))
		}
	}
	return names
}

// generalNames are the subject alternative names among extensions.
func generalNames(extensions []pkix.Extension) (map[generalName]bool, error) {
	found := map[generalName]bool{}
	for _, e := range extensions {
		if !e.Id.Equal(policy.OIDSubjectAltName) {
			continue
		}
		list, err := names.ReadGeneralNames(e.Value)
		if err != nil {
			return nil, errors.New("its alternative names cannot be read")
		}
		for _, name := range list {
			n := generalName{name.Tag, string(name.Value)}
			switch name.Tag {
			case names.TagDNS, names.TagEmail:
				n.text = strings.ToLower(n.text)
			case names.TagIP:
				if addr, ok := netip.AddrFromSlice(name.Value); ok {
					n.text = addr.String()
				}
			}
			found[n] = true
		}
	}
	return found, nil
}

// Sort brings what a CA returned into the order of a chain, leaf first, where
// the CSR tells which one that is.
func Sort(certs []*x509.Certificate, csr []byte) []*x509.Certificate {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return certs
	}
	if chain, err := Order(certs, request.PublicKey); err == nil {
		return chain
	}
	return certs
}
