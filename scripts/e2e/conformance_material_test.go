package e2e

// Keys and certificates that the clients import and merge.

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"software.sslmate.com/src/go-pkcs12"
)

// materialPassword protects password.pfx.
const materialPassword = "a password"

// material is a folder with certificates of the CA and their keys, for clients to
// import:
//
//	rsa.der, ec.der, issuing.der, root.der   certificates
//	rsa.pfx                                  PKCS #12: key, leaf, no password
//	password.pfx                             PKCS #12: key, leaf and chain, with a password
//	ec.pem                                   PEM: key and leaf
//	chain.pem                                PEM: root, key, leaf, issuing certificate
//	keyless.pem                              PEM: leaf
var material = once(func(context.Context) (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "material")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	files, err := newMaterial()
	if err != nil {
		return "", err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
})

func newMaterial() (map[string][]byte, error) {
	ca, err := certificateAuthority()
	if err != nil {
		return nil, err
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	rsaLeaf, err := ca.certify(rsaKey)
	if err != nil {
		return nil, err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ecLeaf, err := ca.certify(ecKey)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(ca.root)
	if err != nil {
		return nil, err
	}
	issuing, err := x509.ParseCertificate(ca.issuing)
	if err != nil {
		return nil, err
	}
	plain, err := pkcs12.Legacy.Encode(rsaKey, rsaLeaf, nil, "")
	if err != nil {
		return nil, err
	}
	protected, err := pkcs12.Modern.Encode(rsaKey, rsaLeaf, []*x509.Certificate{root, issuing}, materialPassword)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ecKey)
	if err != nil {
		return nil, err
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	cert := func(c *x509.Certificate) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return map[string][]byte{
		"rsa.der":      rsaLeaf.Raw,
		"ec.der":       ecLeaf.Raw,
		"issuing.der":  issuing.Raw,
		"root.der":     root.Raw,
		"rsa.pfx":      plain,
		"password.pfx": protected,
		"ec.pem":       slices.Concat(key, cert(ecLeaf)),
		"chain.pem":    slices.Concat(cert(root), key, cert(ecLeaf), cert(issuing)),
		"keyless.pem":  cert(ecLeaf),
	}, nil
}

// certify issues a certificate for a key that was made outside of the vault.
func (a *authority) certify(key crypto.Signer) (*x509.Certificate, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "imported.example.com"}, DNSNames: []string{"imported.example.com"},
	}, key)
	if err != nil {
		return nil, err
	}
	der, err := a.sign(csr)
	if err != nil {
		return nil, fmt.Errorf("certifying a key: %w", err)
	}
	return x509.ParseCertificate(der)
}
