package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os/exec"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"software.sslmate.com/src/go-pkcs12"
)

// readSide is the secret and the key behind a certificate.
func (s session) readSide() []step {
	r := &reading{session: s}
	return []step{
		{"get the secret: PKCS #12", r.secretPKCS12},
		{"get the secret: PEM", r.secretPEM},
		{"get the secret of a key that is not exportable", r.secretFixed},
		{"get the secret of a disabled certificate", r.secretDisabled},
		{"list secrets", r.listSecrets},
		{"get the key", r.key},
		{"list keys", r.listKeys},
		{"sign and verify with RSA", r.signRSA},
		{"sign and verify with EC", r.signEC},
	}
}

// reading is certificates with an RSA key, an EC key, and an RSA key that stays in
// the vault.
type reading struct {
	session
	rsa, ec, fixed azcertificates.Certificate
}

// isChain checks that certificates are those of files.
func isChain(certs [][]byte, files ...string) error {
	if len(certs) != len(files) {
		return fmt.Errorf("got %d certificates, want %d", len(certs), len(files))
	}
	for i, file := range files {
		if err := isMaterial(certs[i], file); err != nil {
			return fmt.Errorf("certificate %d: %w", i, err)
		}
	}
	return nil
}

// belongs checks that a private key is that of a certificate.
func belongs(key any, leaf *x509.Certificate) error {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return fmt.Errorf("the key is a %T", key)
	}
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return is("the key belongs to the certificate", ok && public.Equal(signer.Public()), true)
}

func (r *reading) secretPKCS12() error {
	imported, err := r.load("-rsa", "password.pfx", azcertificates.ImportCertificateParameters{Password: to.Ptr("a password")})
	if err != nil {
		return err
	}
	r.rsa = imported.Certificate
	secret, err := r.vault.secrets.GetSecret(r.ctx, r.prefix+"-rsa", "", nil)
	if err != nil {
		return err
	}
	version, err := r.vault.secrets.GetSecret(r.ctx, r.prefix+"-rsa", r.rsa.ID.Version(), nil)
	if err != nil {
		return err
	}
	pfx, err := base64.StdEncoding.DecodeString(*secret.Value)
	if err != nil {
		return err
	}
	key, first, more, err := pkcs12.DecodeChain(pfx, "")
	if err != nil {
		return err
	}
	chain := [][]byte{first.Raw}
	for _, cert := range more {
		chain = append(chain, cert.Raw)
	}
	leaf := more[len(more)-1] // the root is the first, as in Key Vault's files
	return expect(
		is("id", string(*secret.ID), string(*r.rsa.SID)),
		is("key", string(*secret.KID), string(*r.rsa.KID)),
		is("version", version.ID, *secret.ID),
		is("the same every time", version.Value, *secret.Value),
		is("managed", secret.Managed, true),
		is("content type", secret.ContentType, "application/x-pkcs12"),
		isChain(chain, "root.der", "issuing.der", "rsa.der"),
		belongs(key, leaf),
	)
}

func (r *reading) secretPEM() error {
	imported, err := r.load("-ec", "chain.pem", azcertificates.ImportCertificateParameters{})
	if err != nil {
		return err
	}
	r.ec = imported.Certificate
	secret, err := r.vault.secrets.GetSecret(r.ctx, r.prefix+"-ec", "", nil)
	if err != nil {
		return err
	}
	var key any
	var chain [][]byte
	for block, rest := pem.Decode([]byte(*secret.Value)); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			chain = append(chain, block.Bytes)
		} else if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
			return err
		}
	}
	if err := isChain(chain, "ec.der", "issuing.der", "root.der"); err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return err
	}
	return expect(is("content type", secret.ContentType, "application/x-pem-file"), belongs(key, leaf))
}

func (r *reading) secretFixed() error {
	policy := selfSigned("CN=fixed.example.com")
	policy.KeyProperties = &azcertificates.KeyProperties{
		KeyType: to.Ptr(azcertificates.KeyTypeRSA), KeySize: to.Ptr[int32](2048), Exportable: to.Ptr(false),
	}
	created, _, err := r.issue(r.prefix+"-fixed", azcertificates.CreateCertificateParameters{CertificatePolicy: policy})
	if err != nil {
		return err
	}
	r.fixed = created
	secret, err := r.vault.secrets.GetSecret(r.ctx, r.prefix+"-fixed", "", nil)
	if err != nil {
		return err
	}
	pfx, err := base64.StdEncoding.DecodeString(*secret.Value)
	if err != nil {
		return err
	}
	if _, _, _, err := pkcs12.DecodeChain(pfx, ""); err == nil {
		return errors.New("the secret has a key")
	}
	// The library reads files without a key as Java marks them alone.
	openssl := exec.Command("openssl", "pkcs12", "-nokeys", "-legacy", "-passin", "pass:")
	openssl.Stdin = bytes.NewReader(pfx)
	text, err := openssl.Output()
	if err != nil {
		return err
	}
	block, rest := pem.Decode(text)
	if block == nil || bytes.Contains(rest, []byte("BEGIN")) {
		return fmt.Errorf("the secret does not have one certificate: %q", text)
	}
	return is("certificate", block.Bytes, created.CER)
}

func (r *reading) secretDisabled() error {
	if _, err := r.load("-unread", "rsa.pfx", azcertificates.ImportCertificateParameters{
		CertificateAttributes: &azcertificates.CertificateAttributes{Enabled: to.Ptr(false)},
	}); err != nil {
		return err
	}
	_, err := r.vault.secrets.GetSecret(r.ctx, r.prefix+"-unread", "", nil)
	return refused(err, http.StatusForbidden, "Forbidden", "disabled")
}

func (r *reading) listSecrets() error {
	var managed *bool
	for pager := r.vault.secrets.NewListSecretPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(r.ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Value {
			if item.ID.Name() == r.prefix+"-rsa" {
				managed = item.Managed
			}
		}
	}
	versions := 0
	for pager := r.vault.secrets.NewListSecretPropertiesVersionsPager(r.prefix+"-rsa", nil); pager.More(); {
		page, err := pager.NextPage(r.ctx)
		if err != nil {
			return err
		}
		versions += len(page.Value)
	}
	return expect(is("managed", managed, true), is("versions", versions, 1))
}

func (r *reading) key() error {
	rsaKey, err := r.vault.keys.GetKey(r.ctx, r.prefix+"-rsa", "", nil)
	if err != nil {
		return err
	}
	ecKey, err := r.vault.keys.GetKey(r.ctx, r.prefix+"-ec", r.ec.ID.Version(), nil)
	if err != nil {
		return err
	}
	rsaLeaf, err := x509.ParseCertificate(r.rsa.CER)
	if err != nil {
		return err
	}
	ecLeaf, err := x509.ParseCertificate(r.ec.CER)
	if err != nil {
		return err
	}
	modulus, point := rsaLeaf.PublicKey.(*rsa.PublicKey), ecLeaf.PublicKey.(*ecdsa.PublicKey)
	uncompressed, err := point.Bytes()
	if err != nil {
		return err
	}
	return expect(
		is("id", string(*rsaKey.Key.KID), string(*r.rsa.KID)),
		is("managed", rsaKey.Managed, true),
		is("modulus", rsaKey.Key.N, modulus.N.Bytes()),
		is("exponent", new(big.Int).SetBytes(rsaKey.Key.E).Int64(), int64(modulus.E)),
		is("curve", ecKey.Key.Crv, azkeys.CurveNameP256),
		is("point", append(append([]byte{4}, ecKey.Key.X...), ecKey.Key.Y...), uncompressed),
	)
}

func (r *reading) listKeys() error {
	var managed *bool
	for pager := r.vault.keys.NewListKeyPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(r.ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Value {
			if item.KID.Name() == r.prefix+"-rsa" {
				managed = item.Managed
			}
		}
	}
	versions := 0
	for pager := r.vault.keys.NewListKeyPropertiesVersionsPager(r.prefix+"-rsa", nil); pager.More(); {
		page, err := pager.NextPage(r.ctx)
		if err != nil {
			return err
		}
		versions += len(page.Value)
	}
	return expect(is("managed", managed, true), is("versions", versions, 1))
}

// sign signs a digest in the vault and has the vault verify that signature and a
// wrong one. It returns the leaf and the signature.
func (r *reading) sign(cert azcertificates.Certificate, algorithm azkeys.SignatureAlgorithm, digest []byte) (*x509.Certificate, []byte, error) {
	name, version := cert.ID.Name(), cert.ID.Version()
	signed, err := r.vault.keys.Sign(r.ctx, name, version, azkeys.SignParameters{Algorithm: &algorithm, Value: digest}, nil)
	if err != nil {
		return nil, nil, err
	}
	verify := func(digest []byte, want bool) error {
		got, err := r.vault.keys.Verify(r.ctx, name, version, azkeys.VerifyParameters{
			Algorithm: &algorithm, Digest: digest, Signature: signed.Result,
		}, nil)
		if err != nil {
			return err
		}
		return is("verified", got.Value, want)
	}
	other := sha256.Sum256([]byte("another text"))
	if err := expect(is("key", string(*signed.KID), string(*cert.KID)), verify(digest, true), verify(other[:], false)); err != nil {
		return nil, nil, err
	}
	leaf, err := x509.ParseCertificate(cert.CER)
	return leaf, signed.Result, err
}

func (r *reading) signRSA() error {
	digest := sha256.Sum256([]byte("text"))
	leaf, signature, err := r.sign(r.fixed, azkeys.SignatureAlgorithmRS256, digest[:])
	if err != nil {
		return err
	}
	public := leaf.PublicKey.(*rsa.PublicKey)
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature); err != nil {
		return err
	}
	_, signature, err = r.sign(r.fixed, azkeys.SignatureAlgorithmPS256, digest[:])
	if err != nil {
		return err
	}
	return rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, nil)
}

func (r *reading) signEC() error {
	digest := sha256.Sum256([]byte("text"))
	leaf, signature, err := r.sign(r.ec, azkeys.SignatureAlgorithmES256, digest[:])
	if err != nil {
		return err
	}
	if len(signature) != 64 {
		return fmt.Errorf("the signature has %d bytes", len(signature))
	}
	x, y := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return is("valid", ecdsa.Verify(leaf.PublicKey.(*ecdsa.PublicKey), digest[:], x, y), true)
}
