package kvhttp

// Backing secrets and keys, by the official Go clients.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/google/go-cmp/cmp"
	"software.sslmate.com/src/go-pkcs12"
)

// sdk is Microsoft's three clients for one vault.
type sdk struct {
	certificates *azcertificates.Client
	secrets      *azsecrets.Client
	keys         *azkeys.Client
}

func newSDK(t *testing.T, s *service) sdk {
	t.Helper()
	options := sdkOptions(t, s)
	certificates, err := azcertificates.NewClient(testURL, sdkCredential{s}, &azcertificates.ClientOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := azsecrets.NewClient(testURL, sdkCredential{s}, &azsecrets.ClientOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := azkeys.NewClient(testURL, sdkCredential{s}, &azkeys.ClientOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	return sdk{certificates, secrets, keys}
}

func eachPage[T any](t *testing.T, pager *runtime.Pager[T], visit func(T)) {
	t.Helper()
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		visit(page)
	}
}

// Import, and what the secret client makes of it.
func TestSDKImport(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	client := newSDK(t, s)
	ctx := t.Context()
	p := newPair(t, s.clock.Now())
	pfx, text := p.pfx(t, "secret"), p.pem(t)
	imported, err := client.certificates.ImportCertificate(ctx, "pfx", azcertificates.ImportCertificateParameters{
		Base64EncodedCertificate: &pfx,
		Password:                 new("secret"),
		Tags:                     map[string]*string{"a": new("b")},
		PreserveCertOrder:        new(true),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(imported.CER) != string(p.chain[0].Raw) || *imported.Policy.SecretProperties.ContentType != "application/x-pkcs12" || !*imported.PreserveCertOrder || *imported.Tags["a"] != "b" {
		t.Errorf("import: got %+v", imported.Certificate)
	}
	got, err := client.secrets.GetSecret(ctx, "pfx", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(*got.Value)
	if err != nil {
		t.Fatal(err)
	}
	key, leaf, rest, err := pkcs12.DecodeChain(der, "")
	if err != nil || !p.key.(*ecdsa.PrivateKey).Equal(key) || !leaf.Equal(p.chain[0]) || len(rest) != 2 || !rest[0].Equal(p.chain[1]) || !rest[1].Equal(p.chain[2]) {
		t.Errorf("secret: got leaf %v, chain %v, %v", leaf, rest, err)
	}
	if !*got.Managed || *got.ContentType != "application/x-pkcs12" || string(*got.ID) != string(*imported.SID) || string(*got.KID) != string(*imported.KID) || *got.Tags["a"] != "b" || !got.Attributes.Expires.Equal(p.chain[0].NotAfter) {
		t.Errorf("secret: got %+v", got.Secret)
	}
	asPEM, err := client.secrets.GetSecret(ctx, "pfx", "", &azsecrets.GetSecretOptions{OutContentType: new(azsecrets.ContentTypePEM)})
	if err != nil || *asPEM.Value != text || *asPEM.ContentType != "application/x-pem-file" {
		t.Errorf("secret as PEM: got %+v, %v, want %s", asPEM.Secret, err, text)
	}
	_, err = client.certificates.ImportCertificate(ctx, "pfx", azcertificates.ImportCertificateParameters{Base64EncodedCertificate: &pfx, Password: new("wrong")}, nil)
	wantCode(t, "import with a wrong password", err, 400, "BadParameter")

	_, err = client.certificates.ImportCertificate(ctx, "pem", azcertificates.ImportCertificateParameters{
		Base64EncodedCertificate: &text,
		CertificatePolicy:        &azcertificates.CertificatePolicy{SecretProperties: &azcertificates.SecretProperties{ContentType: new("application/x-pem-file")}},
		CertificateAttributes:    &azcertificates.CertificateAttributes{Enabled: new(false)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.secrets.GetSecret(ctx, "pem", "", nil)
	wantCode(t, "secret of a disabled certificate", err, 403, "Forbidden")
	enabled, err := client.certificates.UpdateCertificate(ctx, "pem", "", azcertificates.UpdateCertificateParameters{CertificateAttributes: &azcertificates.CertificateAttributes{Enabled: new(true)}}, nil)
	if err != nil || !*enabled.Attributes.Enabled {
		t.Fatalf("update: got %+v, %v", enabled.Certificate, err)
	}
	pem, err := client.secrets.GetSecret(ctx, "pem", enabled.SID.Version(), nil)
	if err != nil || *pem.Value != text || *pem.ContentType != "application/x-pem-file" {
		t.Errorf("secret: got %+v, %v, want the PEM that was imported", pem.Secret, err)
	}

	_, err = client.secrets.SetSecret(ctx, "pem", azsecrets.SetSecretParameters{Value: new("x")}, nil)
	wantCode(t, "set secret", err, 403, "Forbidden")
	_, err = client.secrets.DeleteSecret(ctx, "pem", nil)
	wantCode(t, "delete secret", err, 403, "Forbidden")
	_, err = client.secrets.UpdateSecretProperties(ctx, "pem", "", azsecrets.UpdateSecretPropertiesParameters{}, nil)
	wantCode(t, "update secret", err, 403, "Forbidden")
	_, err = client.secrets.BackupSecret(ctx, "none", nil)
	wantCode(t, "back up a missing secret", err, 404, "SecretNotFound")
	_, err = client.secrets.GetDeletedSecret(ctx, "pem", nil)
	wantCode(t, "get deleted secret", err, 404, "SecretNotFound")
	eachPage(t, client.secrets.NewListDeletedSecretPropertiesPager(nil), func(page azsecrets.ListDeletedSecretPropertiesResponse) {
		if len(page.Value) != 0 {
			t.Errorf("deleted secrets: got %v, want none", page.Value)
		}
	})
}

// Keys: their public half, and signatures that crypto verifies.
func TestSDKKeys(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	client := newSDK(t, s)
	ctx := t.Context()
	p := newPair(t, s.clock.Now())
	s.must("POST", "/certificates/ec/import"+v74, importOf(p.pem(t), `"policy":{"key_props":{"exportable":false}}`))
	s.complete("rsa")
	digest := sha256.Sum256([]byte("message"))

	for name, algorithms := range map[string][]azkeys.SignatureAlgorithm{
		"ec":  {azkeys.SignatureAlgorithmES256},
		"rsa": {azkeys.SignatureAlgorithmRS256, azkeys.SignatureAlgorithmPS256},
	} {
		cert, err := client.certificates.GetCertificate(ctx, name, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(cert.CER)
		if err != nil {
			t.Fatal(err)
		}
		key, err := client.keys.GetKey(ctx, name, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if *key.Key.KID != azkeys.ID(*cert.KID) || !*key.Managed || !publicKey(t, key.Key).Equal(leaf.PublicKey) {
			t.Errorf("%s: got key %+v, want that of the certificate", name, key.Key)
		}
		for _, algorithm := range algorithms {
			for _, version := range []string{"", key.Key.KID.Version()} {
				signed, err := client.keys.Sign(ctx, name, version, azkeys.SignParameters{Algorithm: &algorithm, Value: digest[:]}, nil)
				if err != nil {
					t.Fatalf("%s: sign with %s: %v", name, algorithm, err)
				}
				if *signed.KID != *key.Key.KID || !validSignature(leaf.PublicKey, algorithm, digest[:], signed.Result) {
					t.Errorf("%s: signature %x of %s by %s is not valid", name, signed.Result, algorithm, *signed.KID)
				}
				for signature, want := range map[string]bool{string(signed.Result): true, string(signed.Result[1:]): false} {
					verified, err := client.keys.Verify(ctx, name, version, azkeys.VerifyParameters{Algorithm: &algorithm, Digest: digest[:], Signature: []byte(signature)}, nil)
					if err != nil || *verified.Value != want {
						t.Errorf("%s: verify with %s: got %v, %v, want %v", name, algorithm, verified.Value, err, want)
					}
				}
			}
		}
		_, err = client.keys.UpdateKey(ctx, name, "", azkeys.UpdateKeyParameters{}, nil)
		wantCode(t, "update key", err, 403, "Forbidden")
		_, err = client.keys.DeleteKey(ctx, name, nil)
		wantCode(t, "delete key", err, 403, "Forbidden")
		_, err = client.keys.CreateKey(ctx, name, azkeys.CreateKeyParameters{Kty: new(azkeys.KeyTypeRSA)}, nil)
		wantCode(t, "create key", err, 403, "Forbidden")
		_, err = client.keys.BackupKey(ctx, name, nil)
		wantCode(t, "back up key", err, 403, "Forbidden")
	}
	_, err := client.keys.GetKey(ctx, "none", "", nil)
	wantCode(t, "get missing key", err, 404, "KeyNotFound")
}

// publicKey is the key of a JSON Web Key.
func publicKey(t *testing.T, k *azkeys.JSONWebKey) interface{ Equal(crypto.PublicKey) bool } {
	t.Helper()
	if *k.Kty == azkeys.KeyTypeRSA {
		return &rsa.PublicKey{N: new(big.Int).SetBytes(k.N), E: int(new(big.Int).SetBytes(k.E).Int64())}
	}
	curves := map[azkeys.CurveName]elliptic.Curve{azkeys.CurveNameP256: elliptic.P256()}
	pub, err := ecdsa.ParseUncompressedPublicKey(curves[*k.Crv], append(append([]byte{4}, k.X...), k.Y...))
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func validSignature(pub crypto.PublicKey, algorithm azkeys.SignatureAlgorithm, digest, signature []byte) bool {
	switch algorithm {
	case azkeys.SignatureAlgorithmES256:
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(pub.(*ecdsa.PublicKey), digest, r, s)
	case azkeys.SignatureAlgorithmPS256:
		return rsa.VerifyPSS(pub.(*rsa.PublicKey), crypto.SHA256, digest, signature, nil) == nil
	default:
		return rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), crypto.SHA256, digest, signature) == nil
	}
}

// All lists over several pages. Deleting what was listed skips nothing.
func TestSDKPaging(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	client := newSDK(t, s)
	ctx := t.Context()
	var want []string
	body := importOf(newPair(t, s.clock.Now()).pem(t))
	for i := range 60 {
		name := fmt.Sprintf("many%02d", i)
		s.must("POST", "/certificates/"+name+"/import"+v74, body)
		want = append(want, name)
	}
	for range 30 {
		s.must("POST", "/certificates/many00/import"+v74, body)
	}
	var secrets, keys, certificates []string
	eachPage(t, client.secrets.NewListSecretPropertiesPager(nil), func(page azsecrets.ListSecretPropertiesResponse) {
		for _, p := range page.Value {
			secrets = append(secrets, p.ID.Name())
		}
	})
	eachPage(t, client.keys.NewListKeyPropertiesPager(nil), func(page azkeys.ListKeyPropertiesResponse) {
		for _, p := range page.Value {
			keys = append(keys, p.KID.Name())
		}
	})
	versions := map[string]bool{}
	eachPage(t, client.secrets.NewListSecretPropertiesVersionsPager("many00", nil), func(page azsecrets.ListSecretPropertiesVersionsResponse) {
		for _, p := range page.Value {
			versions["secret "+p.ID.Version()] = true
		}
	})
	eachPage(t, client.keys.NewListKeyPropertiesVersionsPager("many00", nil), func(page azkeys.ListKeyPropertiesVersionsResponse) {
		for _, p := range page.Value {
			versions["key "+p.KID.Version()] = true
		}
	})
	if len(versions) != 2*31 {
		t.Errorf("got %d versions of secret and key, want 31 of each", len(versions))
	}
	eachPage(t, client.certificates.NewListCertificatePropertiesPager(nil), func(page azcertificates.ListCertificatePropertiesResponse) {
		for _, p := range page.Value {
			certificates = append(certificates, p.ID.Name())
			if _, err := client.certificates.DeleteCertificate(ctx, p.ID.Name(), nil); err != nil {
				t.Fatal(err)
			}
		}
	})
	for what, got := range map[string][]string{"secrets": secrets, "keys": keys, "certificates, deleted on the way": certificates} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

// A backup restores what there was, after a purge.
func TestSDKBackup(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	client := newSDK(t, s)
	ctx := t.Context()
	s.complete("web")
	first, err := client.certificates.GetCertificate(ctx, "web", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.must("POST", "/certificates/web/import"+v74, importOf(newPair(t, s.clock.Now()).pem(t), `"tags":{"a":"b"}`))
	before, err := client.certificates.GetCertificate(ctx, "web", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := client.secrets.GetSecret(ctx, "web", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	backup, err := client.certificates.BackupCertificate(ctx, "web", nil)
	if err != nil || len(backup.Value) == 0 {
		t.Fatalf("backup: got %d bytes, %v", len(backup.Value), err)
	}
	parameters := azcertificates.RestoreCertificateParameters{CertificateBackup: backup.Value}
	_, err = client.certificates.RestoreCertificate(ctx, parameters, nil)
	wantCode(t, "restore what exists", err, 409, "Conflict")
	if _, err := client.certificates.DeleteCertificate(ctx, "web", nil); err != nil {
		t.Fatal(err)
	}
	_, err = client.certificates.RestoreCertificate(ctx, parameters, nil)
	wantCode(t, "restore what is deleted", err, 409, "Conflict")
	if _, err := client.certificates.PurgeDeletedCertificate(ctx, "web", nil); err != nil {
		t.Fatal(err)
	}
	restored, err := client.certificates.RestoreCertificate(ctx, parameters, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Certificate, restored.Certificate); diff != "" {
		t.Errorf("restore (-before +restored):\n%s", diff)
	}
	again, err := client.secrets.GetSecret(ctx, "web", "", nil)
	if err != nil || *again.Value != *secret.Value || *again.ID != *secret.ID || *again.PreviousVersion != first.ID.Version() {
		t.Errorf("secret: got %+v, %v, want %+v", again.Secret, err, secret.Secret)
	}
	versions := 0
	eachPage(t, client.certificates.NewListCertificatePropertiesVersionsPager("web", nil), func(page azcertificates.ListCertificatePropertiesVersionsResponse) {
		versions += len(page.Value)
	})
	if versions != 2 {
		t.Errorf("got %d versions, want 2", versions)
	}
	_, err = client.certificates.RestoreCertificate(ctx, azcertificates.RestoreCertificateParameters{CertificateBackup: []byte("another service's")}, nil)
	wantCode(t, "restore another service's backup", err, 400, "Malformed backup blob")
}

// Updates, contacts.
func TestSDKUpdate(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	client := newSDK(t, s).certificates
	ctx := t.Context()
	s.complete("web")
	before, err := client.GetCertificate(ctx, "web", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	updated, err := client.UpdateCertificate(ctx, "web", before.ID.Version(), azcertificates.UpdateCertificateParameters{Tags: map[string]*string{"a": new("b")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *updated.Tags["a"] != "b" || !updated.Attributes.Updated.After(*before.Attributes.Updated) {
		t.Errorf("update: got %+v", updated.Certificate)
	}
	policy, err := client.UpdateCertificatePolicy(ctx, "web", azcertificates.CertificatePolicy{
		KeyProperties: &azcertificates.KeyProperties{KeyType: new(azcertificates.KeyTypeEC), Curve: new(azcertificates.CurveNameP256), KeySize: new(int32(256)), Exportable: new(true), ReuseKey: new(false)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.GetCertificatePolicy(ctx, "web", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(policy.CertificatePolicy, got.CertificatePolicy); diff != "" || *got.KeyProperties.KeyType != azcertificates.KeyTypeEC || *got.X509CertificateProperties.Subject != "CN=example.com" {
		t.Errorf("policy: got %+v, which differs from update's by\n%s", got.CertificatePolicy, diff)
	}

	_, err = client.GetContacts(ctx, nil)
	wantCode(t, "get contacts", err, 404, "ContactsNotFound")
	contacts := azcertificates.Contacts{ContactList: []*azcertificates.Contact{{Email: new("a@example.com"), Name: new("a"), Phone: new("1")}, {Email: new("b@example.com")}}}
	set, err := client.SetContacts(ctx, contacts, nil)
	if err != nil {
		t.Fatal(err)
	}
	read, err := client.GetContacts(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	deleted, err := client.DeleteContacts(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]azcertificates.Contacts{"set": set.Contacts, "get": read.Contacts, "delete": deleted.Contacts} {
		if diff := cmp.Diff(contacts.ContactList, got.ContactList); diff != "" || *got.ID != testURL+"/certificates/contacts" {
			t.Errorf("%s contacts: id %s, list (-sent +got):\n%s", what, *got.ID, diff)
		}
	}
}
