// Package localca is the certificate authority of one local cloud. It vouches
// for the local cloud's front door and, by critical name constraints, can vouch
// for nothing but this machine and Key Vault's names. Programs trust it through
// a bundle file; it is not meant to be installed in a system's store.
package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"github.com/certwright/certwright/handler/localcloud/state"
)

const (
	// lifetime is how long an authority and its leaves are valid.
	lifetime = 30 * 24 * time.Hour
	// renewBefore is how much of it must be left at a start.
	renewBefore = 10 * 24 * time.Hour
	// clockSkew is how far a client's clock may lag.
	clockSkew = 5 * time.Minute
)

// The authority's files. People and programs put the certificate's file into trust
// stores, so the key has one of its own. The certificate's is written last: it is
// what makes the key count.
const (
	fileName    = "ca/authority.pem"
	keyFileName = "ca/authority.key"
)

// Authority is the certificate and key that sign the leaf.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Open returns the authority that folder holds, making it anew when it is missing,
// ends soon, or has a key that is missing or another's, as after a start that was
// cut off.
func Open(folder state.Folder, now time.Time) (*Authority, error) {
	a, err := read(folder)
	if err != nil {
		return nil, fmt.Errorf("reading the local authority %q: %w", folder.Path(fileName), err)
	}
	if a != nil && now.Add(renewBefore).Before(a.certificate.NotAfter) {
		return a, nil
	}
	if a, err = create(now); err != nil {
		return nil, fmt.Errorf("making the local authority: %w", err)
	}
	return a, a.write(folder)
}

// read returns the authority of the files; nil when there is none that can be used.
func read(folder state.Folder) (*Authority, error) {
	certificate, err := os.ReadFile(folder.Path(fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(certificate)
	if block == nil {
		return nil, errors.New("it is not PEM")
	}
	if block.Type != "CERTIFICATE" { // the key was here once
		return nil, nil
	}
	keyText, err := os.ReadFile(folder.Path(keyFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, keyText) // which refuses another's key
	if err != nil {
		return nil, nil
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil
	}
	return &Authority{certificate: pair.Leaf, key: key}, nil
}

func (a *Authority) write(folder state.Folder) error {
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return fmt.Errorf("encoding the local authority's key: %w", err)
	}
	if err := folder.Write(keyFileName, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})); err != nil {
		return err
	}
	return folder.Write(fileName, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}))
}

func create(now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	// A zero serial number lets CreateCertificate choose a random one.
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Certwright local authority, do not install"},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		// RFC 5280 section 4.2.1.10. A constraint of one kind leaves the other kinds
		// free, so names of every kind that Go and OpenSSL check are listed.
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{"localhost", "vault.azure.net"},
		PermittedIPRanges: []*net.IPNet{
			{IP: net.IPv4(127, 0, 0, 1).To4(), Mask: net.CIDRMask(32, 32)},
			{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
		},
		PermittedEmailAddresses: []string{"localhost"},
		PermittedURIDomains:     []string{"localhost"},
	}
	certificate, err := sign(template, template, key, key)
	if err != nil {
		return nil, err
	}
	return &Authority{certificate: certificate, key: key}, nil
}

// Leaf returns a new certificate for the front door: localhost, 127.0.0.1, ::1
// and every vault's name, valid as long as the authority.
func (a *Authority) Leaf(now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making the front door's key: %w", err)
	}
	leaf, err := sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "localhost"},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              a.certificate.NotAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost", "*.vault.azure.net"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}, a.certificate, key, a.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("signing the front door's certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, a.certificate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// Certificate returns the authority's own certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.certificate }

func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
