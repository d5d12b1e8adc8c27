package main

import (
	"encoding/base64"
	"errors"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// imports are certificates that come with their keys.
func (s session) imports() []step {
	return []step{
		{"import PKCS #12", s.importPKCS12},
		{"import PKCS #12 with a password", s.importPassword},
		{"import PEM", func() error { return s.importPEM("-text", func(pem []byte) string { return string(pem) }) }},
		{"import PEM in base64", func() error { return s.importPEM("-base64", base64.StdEncoding.EncodeToString) }},
		{"import a chain in any order", s.importChain},
		{"import disabled, keeping the order of the chain", s.importDisabled},
		{"import a new version", s.importAgain},
		{"what cannot be imported is refused", s.importBad},
	}
}

// load imports a file, in base64 unless more says otherwise.
func (s session) load(name, file string, more azcertificates.ImportCertificateParameters) (azcertificates.ImportCertificateResponse, error) {
	content, err := material(file)
	if err != nil {
		return azcertificates.ImportCertificateResponse{}, err
	}
	if more.Base64EncodedCertificate == nil {
		more.Base64EncodedCertificate = to.Ptr(base64.StdEncoding.EncodeToString(content))
	}
	return s.vault.ImportCertificate(s.ctx, s.prefix+name, more, nil)
}

// isMaterial checks that a certificate is that of a file.
func isMaterial(cer []byte, file string) error {
	want, err := material(file)
	if err != nil {
		return err
	}
	return is("certificate", cer, want)
}

func (s session) importPKCS12() error {
	imported, err := s.load("-pfx", "rsa.pfx", azcertificates.ImportCertificateParameters{})
	if err != nil {
		return err
	}
	got, err := s.vault.GetCertificate(s.ctx, s.prefix+"-pfx", "", nil)
	if err != nil {
		return err
	}
	return expect(
		isMaterial(imported.CER, "rsa.der"),
		isMaterial(got.CER, "rsa.der"),
		is("enabled", imported.Attributes.Enabled, true),
		is("issuer", imported.Policy.IssuerParameters.Name, "Unknown"),
		is("key type", imported.Policy.KeyProperties.KeyType, azcertificates.KeyTypeRSA),
		is("key size", imported.Policy.KeyProperties.KeySize, int32(2048)),
		is("content type", imported.Policy.SecretProperties.ContentType, "application/x-pkcs12"),
	)
}

func (s session) importPassword() error {
	tags := map[string]*string{"colour": to.Ptr("blue")}
	imported, err := s.load("-password", "password.pfx", azcertificates.ImportCertificateParameters{
		Password: to.Ptr("a password"), Tags: tags,
	})
	if err != nil {
		return err
	}
	return expect(isMaterial(imported.CER, "rsa.der"), is("tags", imported.Tags, tags))
}

// importPEM imports a PEM file without a policy; the service finds out what it is.
func (s session) importPEM(name string, encode func([]byte) string) error {
	pem, err := material("ec.pem")
	if err != nil {
		return err
	}
	imported, err := s.load(name, "ec.pem", azcertificates.ImportCertificateParameters{Base64EncodedCertificate: to.Ptr(encode(pem))})
	if err != nil {
		return err
	}
	return expect(
		isMaterial(imported.CER, "ec.der"),
		is("content type", imported.Policy.SecretProperties.ContentType, "application/x-pem-file"),
		is("key type", imported.Policy.KeyProperties.KeyType, azcertificates.KeyTypeEC),
		is("curve", imported.Policy.KeyProperties.Curve, azcertificates.CurveNameP256),
	)
}

func (s session) importChain() error {
	imported, err := s.load("-chain", "chain.pem", azcertificates.ImportCertificateParameters{})
	if err != nil {
		return err
	}
	return isMaterial(imported.CER, "ec.der")
}

func (s session) importDisabled() error {
	imported, err := s.load("-off", "rsa.pfx", azcertificates.ImportCertificateParameters{
		CertificateAttributes: &azcertificates.CertificateAttributes{Enabled: to.Ptr(false)},
		PreserveCertOrder:     to.Ptr(true),
	})
	if err != nil {
		return err
	}
	got, err := s.vault.GetCertificate(s.ctx, s.prefix+"-off", "", nil)
	if err != nil {
		return err
	}
	return expect(
		is("enabled", imported.Attributes.Enabled, false),
		is("order", imported.PreserveCertOrder, true),
		is("certificate", got.CER, imported.CER),
		is("enabled", got.Attributes.Enabled, false),
	)
}

func (s session) importAgain() error {
	imported, err := s.load("-pfx", "ec.pem", azcertificates.ImportCertificateParameters{})
	if err != nil {
		return err
	}
	got, err := s.vault.GetCertificate(s.ctx, s.prefix+"-pfx", "", nil)
	if err != nil {
		return err
	}
	versions, err := s.vault.versions(s.ctx, s.prefix+"-pfx")
	if err != nil {
		return err
	}
	return expect(is("latest", got.ID, *imported.ID), is("versions", len(versions), 2))
}

func (s session) importBad() error {
	_, password := s.load("-bad", "password.pfx", azcertificates.ImportCertificateParameters{Password: to.Ptr("another")})
	_, keyless := s.load("-bad", "keyless.pem", azcertificates.ImportCertificateParameters{})
	_, bare := s.load("-bad", "rsa.der", azcertificates.ImportCertificateParameters{})
	_, get := s.vault.GetCertificate(s.ctx, s.prefix+"-bad", "", nil)
	return errors.Join(
		refused(password, http.StatusBadRequest, "BadParameter", "PKCS#12"),
		refused(keyless, http.StatusBadRequest, "BadParameter", "private key"),
		refused(bare, http.StatusBadRequest, "BadParameter", "PKCS#12"),
		absent(get, "CertificateNotFound"),
	)
}
