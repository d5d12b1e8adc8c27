package chain

// Imports: PKCS #12 and PEM as OpenSSL and clients write them.

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
)

// keyPEM is a private key in one of its PEM forms, or another block.
func keyPEM(t testing.TB, blockType string, key any) string {
	t.Helper()
	var der []byte
	var err error
	switch blockType {
	case "PRIVATE KEY":
		der, err = x509.MarshalPKCS8PrivateKey(key)
	case "RSA PRIVATE KEY":
		der = x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey))
	case "EC PRIVATE KEY":
		der, err = x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}))
}

func pfx(t testing.TB, enc *pkcs12.Encoder, password string, key any, certs ...*x509.Certificate) []byte {
	t.Helper()
	der, err := enc.Encode(key, certs[0], certs[1:], password)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// opensslPFX has OpenSSL make a PKCS #12 file of PEM.
func opensslPFX(t testing.TB, password, text string, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "in.pem")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return certtest.OpenSSL(t, nil, append([]string{"pkcs12", "-export", "-in", file, "-passout", "pass:" + password}, args...)...)
}

func TestParseImport(t *testing.T) {
	t.Parallel()
	root := certtest.NewCA(t, "Root", nil)
	issuing := certtest.NewCA(t, "Issuing", root)
	rsaKey, ecKey := certtest.Keys["RSA"](), certtest.Keys["P-256"]()
	rsaLeaf := issuing.Issue(t, certtest.Leaf("rsa.example.com"), rsaKey.Public())
	ecLeaf := issuing.Issue(t, certtest.Leaf("ec.example.com"), ecKey.Public())
	rsaPEM := keyPEM(t, "PRIVATE KEY", rsaKey) + pemOf(rsaLeaf, issuing.Cert, root.Cert)
	std := base64.StdEncoding.EncodeToString
	wrapped := func(b []byte) string {
		var lines strings.Builder
		for chunk := range slices.Chunk([]byte(std(b)), 64) {
			lines.Write(chunk)
			lines.WriteString("\r\n")
		}
		return lines.String()
	}
	legacy := pfx(t, pkcs12.LegacyDES, "", rsaKey, rsaLeaf, issuing.Cert, root.Cert)
	for name, c := range map[string]struct {
		value, password string
		leaf            *x509.Certificate
		contentType     string
	}{
		"PKCS #12, 3DES, no password":     {std(legacy), "", rsaLeaf, policy.ContentPKCS12},
		"PKCS #12, base64 in lines":       {wrapped(legacy), "", rsaLeaf, policy.ContentPKCS12},
		"PKCS #12, base64url":             {base64.RawURLEncoding.EncodeToString(legacy), "", rsaLeaf, policy.ContentPKCS12},
		"PKCS #12, RC2":                   {std(pfx(t, pkcs12.LegacyRC2, "pw", rsaKey, rsaLeaf, issuing.Cert, root.Cert)), "pw", rsaLeaf, policy.ContentPKCS12},
		"PKCS #12, AES":                   {std(pfx(t, pkcs12.Modern2023, "pässword", ecKey, ecLeaf, issuing.Cert, root.Cert)), "pässword", ecLeaf, policy.ContentPKCS12},
		"PKCS #12, PBMAC1":                {std(pfx(t, pkcs12.Modern2026, "pw", ecKey, ecLeaf, issuing.Cert, root.Cert)), "pw", ecLeaf, policy.ContentPKCS12},
		"PKCS #12, the leaf last":         {std(pfx(t, pkcs12.LegacyDES, "", rsaKey, root.Cert, issuing.Cert, rsaLeaf)), "", rsaLeaf, policy.ContentPKCS12},
		"PKCS #12 of OpenSSL":             {std(opensslPFX(t, "pw", rsaPEM)), "pw", rsaLeaf, policy.ContentPKCS12},
		"PKCS #12 of OpenSSL, 3DES":       {std(opensslPFX(t, "", rsaPEM, "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1")), "", rsaLeaf, policy.ContentPKCS12},
		"PKCS #12 of OpenSSL, bare":       {std(opensslPFX(t, "", rsaPEM, "-keypbe", "NONE", "-certpbe", "NONE", "-nomac")), "", rsaLeaf, policy.ContentPKCS12},
		"PEM":                             {rsaPEM, "", rsaLeaf, policy.ContentPEM},
		"PEM, a password for nothing":     {rsaPEM, "pw", rsaLeaf, policy.ContentPEM},
		"PEM, base64":                     {std([]byte(rsaPEM)), "", rsaLeaf, policy.ContentPEM},
		"PEM, lines of Windows":           {strings.ReplaceAll(rsaPEM, "\n", "\r\n"), "", rsaLeaf, policy.ContentPEM},
		"PEM, certificates reversed":      {pemOf(root.Cert, issuing.Cert, rsaLeaf) + keyPEM(t, "PRIVATE KEY", rsaKey), "", rsaLeaf, policy.ContentPEM},
		"PEM, the key in the middle":      {pemOf(issuing.Cert, rsaLeaf) + keyPEM(t, "PRIVATE KEY", rsaKey) + pemOf(root.Cert), "", rsaLeaf, policy.ContentPEM},
		"PEM, a certificate twice":        {rsaPEM + pemOf(issuing.Cert, rsaLeaf), "", rsaLeaf, policy.ContentPEM},
		"PEM, PKCS #1":                    {keyPEM(t, "RSA PRIVATE KEY", rsaKey) + pemOf(rsaLeaf, issuing.Cert, root.Cert), "", rsaLeaf, policy.ContentPEM},
		"PEM, SEC 1":                      {keyPEM(t, "EC PRIVATE KEY", ecKey) + pemOf(ecLeaf, issuing.Cert, root.Cert), "", ecLeaf, policy.ContentPEM},
		"PEM, SEC 1 of OpenSSL":           {string(certtest.OpenSSL(t, []byte(keyPEM(t, "PRIVATE KEY", ecKey)), "ec", "-param_enc", "named_curve")) + pemOf(ecLeaf, root.Cert, issuing.Cert), "", ecLeaf, policy.ContentPEM},
		"PEM, EC PARAMETERS before it":    {"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + keyPEM(t, "EC PRIVATE KEY", ecKey) + pemOf(ecLeaf, issuing.Cert, root.Cert), "", ecLeaf, policy.ContentPEM},
		"PEM, bag attributes of OpenSSL":  {string(certtest.OpenSSL(t, legacy, "pkcs12", "-nodes", "-passin", "pass:")), "", rsaLeaf, policy.ContentPEM},
		"PEM, text before and between it": {"Hello\n" + pemOf(root.Cert) + "\nsubject=CN\n" + keyPEM(t, "PRIVATE KEY", rsaKey) + pemOf(rsaLeaf, issuing.Cert), "", rsaLeaf, policy.ContentPEM},
	} {
		pair, err := ParseImport(t.Context(), c.value, c.password)
		if err != nil {
			t.Errorf("%s: %v (%v)", name, err, errors.Unwrap(err))
			continue
		}
		chain, err := pair.Chain(false, certtest.Time)
		want := []*x509.Certificate{c.leaf, issuing.Cert, root.Cert}
		if err != nil || !slices.EqualFunc(chain, want, (*x509.Certificate).Equal) {
			t.Errorf("%s: chain %s, %v", name, namesOf(chain), err)
		}
		if !policy.SamePublicKey(pair.Key.Public(), c.leaf.PublicKey) || pair.ContentType != c.contentType {
			t.Errorf("%s: key %T, content type %s", name, pair.Key, pair.ContentType)
		}
	}
}

func TestParseImportRefuses(t *testing.T) {
	t.Parallel()
	ca := certtest.NewCA(t, "Root", nil)
	key, other := certtest.Keys["P-256"](), certtest.Keys["P-384"]()
	leaf := ca.Issue(t, certtest.Leaf("example.com"), key.Public())
	_, ed25519Key, _ := ed25519.GenerateKey(nil)
	edLeaf := ca.Issue(t, certtest.Leaf("example.com"), ed25519Key.Public())
	p224 := mustEC(t, elliptic.P224())
	p224Leaf := ca.Issue(t, certtest.Leaf("example.com"), p224.Public())
	pkcs8 := keyPEM(t, "PRIVATE KEY", key)
	whole := opensslPFX(t, "", pkcs8+pemOf(leaf))
	big := certtest.Leaf("example.com")
	big.OCSPServer = []string{"http://" + strings.Repeat("a", maxCertificate)}
	var many string
	for range MaxChain {
		many += pemOf(certtest.NewCA(t, "CA", nil).Cert)
	}
	trust, err := pkcs12.LegacyDES.EncodeTrustStore([]*x509.Certificate{leaf}, "")
	if err != nil {
		t.Fatal(err)
	}
	encrypted := string(certtest.OpenSSL(t, []byte(pkcs8), "pkcs8", "-topk8", "-passout", "pass:pw"))
	koblitzSEC1 := string(certtest.OpenSSL(t, nil, "ecparam", "-name", "secp256k1", "-genkey"))
	koblitzKey := string(certtest.OpenSSL(t, []byte(koblitzSEC1), "pkcs8", "-topk8", "-nocrypt"))
	koblitzExplicit := string(certtest.OpenSSL(t, []byte(koblitzSEC1), "pkey", "-ec_param_enc", "explicit"))
	koblitz := string(certtest.OpenSSL(t, []byte(koblitzKey), "req", "-x509", "-new", "-key", "/dev/stdin", "-subj", "/CN=k"))
	const otherKey = "The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key."
	for name, c := range map[string]struct {
		value, password, detail string
	}{
		"nothing":                       {"", "", "must be present"},
		"too long":                      {strings.Repeat("A", maxImport+1), "", tooLong},
		"a password that is too long":   {std(whole), strings.Repeat("p", maxImportPassword+1), "201 bytes: must be at most 200"},
		"no base64":                     {"%%%", "", badPKCS12 + " It is neither base64 nor PEM."},
		"no PKCS #12":                   {std([]byte("hello, world")), "", badPKCS12 + " The PKCS #12 file cannot be read: an element is longer than what holds it."},
		"PKCS #12 cut":                  {std(whole[:len(whole)-1]), "", badPKCS12 + " The PKCS #12 file cannot be read: an element is longer than what holds it."},
		"PKCS #12 without a key":        {std(opensslPFX(t, "", pemOf(leaf), "-nokeys")), "", noPrivateKey},
		"PKCS #12 as a trust store":     {std(trust), "", noPrivateKey},
		"wrong password":                {std(pfx(t, pkcs12.Modern2023, "pw", key, leaf)), "PW", badPKCS12 + " Its password is not the specified one."},
		"no password":                   {std(pfx(t, pkcs12.LegacyDES, "pw", key, leaf)), "", badPKCS12 + " It is protected by a password, and none was specified in pwd."},
		"PEM without a key":             {pemOf(leaf), "", noPrivateKey},
		"PEM with two keys":             {pkcs8 + pemOf(leaf) + keyPEM(t, "PRIVATE KEY", other), "", noPrivateKey},
		"PEM with one key twice":        {pkcs8 + pemOf(leaf) + pkcs8, "", noPrivateKey},
		"PEM without a certificate":     {pkcs8, "", badPEM + " It has no certificate."},
		"an encrypted key, no password": {encrypted + pemOf(leaf), "", badPEM + " It is protected by a password, and none was specified in pwd."},
		"an encrypted key, another one": {encrypted + pemOf(leaf), "PW", badPEM + " Its password is not the specified one."},
		"two encrypted keys":            {encrypted + encrypted + pemOf(leaf), "pw", noPrivateKey},
		"a damaged block":               {pkcs8 + pemOf(leaf) + strings.Replace(pemOf(ca.Cert), "MII", "M!I", 1), "", badPEM + " PEM block 3 CERTIFICATE, line 15: it has a character that does not belong into base64, or its end is missing."},
		"P-256K in PEM":                 {koblitzKey + koblitz, "", badPEM + " PEM block 1 PRIVATE KEY, line 1: the EC key is on the curve P-256K (secp256k1): must be P-256, P-384 or P-521."},
		"P-256K in SEC 1":               {koblitzSEC1 + koblitz, "", badPEM + " PEM block 2 EC PRIVATE KEY, line 4: the EC key is on the curve P-256K (secp256k1): must be P-256, P-384 or P-521."},
		"P-256K in PKCS #12":            {std(opensslPFX(t, "", koblitzKey+koblitz)), "", badPKCS12 + " Its private key cannot be read: the EC key is on the curve P-256K (secp256k1): must be P-256, P-384 or P-521."},
		"P-256K by parameters":          {koblitzExplicit + koblitz, "", badPEM + " PEM block 1 PRIVATE KEY, line 1: the EC key gives its curve by parameters instead of a name: the curve must be P-256, P-384 or P-521."},
		"PEM of garbage":                {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + pkcs8, "", badPEM + " PEM block 1 CERTIFICATE, line 1: x509: malformed certificate."},
		"PEM with its end cut":          {pkcs8 + pemOf(leaf) + "-----BEGIN CERTIFICATE-----\nAAAA", "", badPEM + " PEM block 3 CERTIFICATE, line 15: its END line is missing."},
		"only a beginning":              {"-----BEGIN ", "", badPEM + " PEM block 1, line 1: its BEGIN or END line is damaged."},
		"a key of another kind":         {keyPEM(t, "PRIVATE KEY", ed25519Key) + pemOf(edLeaf), "", policy.InvalidProperties + " a key is RSA or EC."},
		"a curve of another kind":       {keyPEM(t, "PRIVATE KEY", p224) + pemOf(p224Leaf), "", policy.InvalidProperties + " an EC key is on P-256, P-384 or P-521, not on P-224."},
		"a large certificate":           {pkcs8 + pemOf(ca.Issue(t, big, key.Public())), "", tooLong},
		"a long chain":                  {pkcs8 + pemOf(leaf) + many, "", "101 certificates: must be at most 100"},
		"base64 of base64 of PKCS #12":  {std([]byte(std(whole))), "", badPKCS12 + " The PKCS #12 file cannot be read."},
		"a certificate of another key":  {keyPEM(t, "PRIVATE KEY", other) + pemOf(leaf), "", otherKey},
		"PKCS #12 of another key":       {std(pfx(t, pkcs12.LegacyDES, "", other, leaf)), "", otherKey},
		"PEM that is no DER":            {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + pemOf(leaf), "", badPEM + " PEM block 1 PRIVATE KEY, line 1: it is not a private key in PKCS #8."},
		"RSA with too few bits":         {rsaOf(t, ca, 1024), "", policy.InvalidProperties + " an RSA key has 2048, 3072 or 4096 bits, not 1024."},
		"PKCS #12 with two keys":        {std(twoKeys(t, key, leaf)), "", noPrivateKey},
	} {
		pair, err := ParseImport(t.Context(), c.value, c.password)
		if err == nil {
			_, err = pair.Chain(false, certtest.Time)
		}
		var e *field.Error
		if !errors.As(err, &e) || !strings.HasPrefix(e.Detail, c.detail) || e.Detail != c.detail && c.detail != otherKey {
			t.Errorf("%s: %v, want %q", name, err, c.detail)
		}
	}
}

func mustEC(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaOf(t testing.TB, ca *certtest.CA, bits int) string {
	t.Helper()
	key, err := rsa.GenerateKey(nil, bits)
	if err != nil {
		t.Fatal(err)
	}
	return keyPEM(t, "PRIVATE KEY", key) + pemOf(ca.Issue(t, certtest.Leaf("example.com"), key.Public()))
}

// twoKeys is a PKCS #12 file, without encryption, that holds a key twice.
func twoKeys(t testing.TB, key any, leaf *x509.Certificate) []byte {
	t.Helper()
	type content struct { // RFC 5652 section 4, of type data
		Type asn1.ObjectIdentifier
		Data []byte `asn1:"tag:0,explicit"`
	}
	var file struct {
		Version int
		Safe    content
	}
	unmarshal := func(der []byte, v any) {
		t.Helper()
		if rest, err := asn1.Unmarshal(der, v); err != nil || len(rest) > 0 {
			t.Fatal(err)
		}
	}
	marshal := func(v any) []byte {
		t.Helper()
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	unmarshal(pfx(t, pkcs12.Passwordless, "", key, leaf), &file)
	var safe []content
	unmarshal(file.Safe.Data, &safe)
	var bags []asn1.RawValue
	keys := &safe[len(safe)-1]
	unmarshal(keys.Data, &bags)
	keys.Data = marshal(append(bags, bags...))
	file.Safe.Data = marshal(safe)
	return marshal(file)
}

// TestChainKeepsOrder: with preserveCertOrder the leaf still comes first, and
// the others as they were sent.
func TestChainKeepsOrder(t *testing.T) {
	t.Parallel()
	root := certtest.NewCA(t, "Root", nil)
	issuing := certtest.NewCA(t, "Issuing", root)
	key := certtest.Keys["P-256"]()
	leaf := issuing.Issue(t, certtest.Leaf("example.com"), key.Public())
	pair, err := ParseImport(t.Context(), keyPEM(t, "PRIVATE KEY", key)+pemOf(root.Cert, leaf, issuing.Cert), "")
	if err != nil {
		t.Fatal(err)
	}
	for preserve, want := range map[bool][]*x509.Certificate{
		false: {leaf, issuing.Cert, root.Cert},
		true:  {leaf, root.Cert, issuing.Cert},
	} {
		for range 2 { // chain must not disturb the pair
			chain, err := pair.Chain(preserve, certtest.Time)
			if err != nil || !slices.EqualFunc(chain, want, (*x509.Certificate).Equal) {
				t.Errorf("preserve %v: %s, %v", preserve, namesOf(chain), err)
			}
		}
	}
}

func FuzzParseImport(f *testing.F) {
	ca := certtest.NewCA(f, "Root", nil)
	key := certtest.Keys["P-256"]()
	leaf := ca.Issue(f, certtest.Leaf("example.com"), key.Public())
	text := keyPEM(f, "EC PRIVATE KEY", key) + pemOf(leaf, ca.Cert)
	for _, value := range []string{
		"", "%", "-----BEGIN ", text, std([]byte(text)), keyPEM(f, "PRIVATE KEY", key), pemOf(leaf),
		std(pfx(f, pkcs12.LegacyDES.WithIterations(1), "", key, leaf, ca.Cert)),
		std(pfx(f, pkcs12.Modern2023.WithIterations(1), "", key, leaf)),
		std(pfx(f, pkcs12.Passwordless, "", key, leaf, ca.Cert)),
	} {
		f.Add(value, "")
	}
	f.Add(std(pfx(f, pkcs12.Modern2026.WithIterations(1), "pw", key, leaf)), "pw")
	f.Fuzz(func(t *testing.T, value, password string) {
		pair, err := ParseImport(t.Context(), value, password)
		var chain []*x509.Certificate
		if err == nil {
			chain, err = pair.Chain(false, certtest.Time)
		}
		if err != nil {
			var e *field.Error
			if !errors.As(err, &e) || e.Detail == "" {
				t.Fatalf("%v is not a BadParameter", err)
			}
			return
		}
		if !policy.SamePublicKey(chain[0].PublicKey, pair.Key.Public()) {
			t.Fatal("the leaf is not the key's")
		}
		again, err := ParseImport(t.Context(), keyPEM(t, "PRIVATE KEY", pair.Key)+pemOf(chain...), "")
		if err != nil || !slices.EqualFunc(again.certs, chain, (*x509.Certificate).Equal) {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
	})
}
