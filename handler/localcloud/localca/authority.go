// Package localca is the certificate authority of one local cloud. It vouches
// for the local cloud's front door and, by critical name constraints, can vouch
// for nothing but this machine and Key Vault's names. Programs trust it through
// a bundle file; it is not meant to be installed in a system's store.
package localca

import (
	"bytes"
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

// fileName holds key and certificate, in one file so that they change together.
const fileName = "ca/authority.pem"

// Authority is the certificate and key that sign the leaf.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Open returns the authority that folder holds, making it anew when it is missing
// or ends soon.
func Open(folder state.Folder, now time.Time) (*Authority, error) {
	content, err := os.ReadFile(folder.Path(fileName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the local authority: %w", err)
	}
	if err == nil {
		a, err := parse(content)
		if err != nil {
			return nil, fmt.Errorf("reading the local authority %q: %w", folder.Path(fileName), err)
		}
		if now.Add(renewBefore).Before(a.certificate.NotAfter) {
			return a, nil
		}
	}
	a, err := create(now)
	if err != nil {
		return nil, fmt.Errorf("making the local authority: %w", err)
	}
	content, err = a.marshal()
	if err != nil {
		return nil, fmt.Errorf("making the local authority: %w", err)
	}
	return a, folder.Write(fileName, content)
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

func (a *Authority) marshal() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}),
	}, nil), nil
}

// parse reads what marshal wrote, and refuses a key that is not the certificate's.
func parse(content []byte) (*Authority, error) {
	pair, err := tls.X509KeyPair(content, content)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the key is a %T, not an ECDSA key", pair.PrivateKey)
	}
	return &Authority{certificate: pair.Leaf, key: key}, nil
}
