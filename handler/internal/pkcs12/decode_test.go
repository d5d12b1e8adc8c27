package pkcs12

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sslmate "software.sslmate.com/src/go-pkcs12"

	"github.com/certwright/certwright/handler/internal/pbe"
)

// TestDecodeOpenSSL reads what OpenSSL writes, with each of its algorithms.
func TestDecodeOpenSSL(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for name, args := range map[string][]string{
		"defaults":               nil,
		"old defaults":           {"-legacy"},
		"no MAC":                 {"-nomac"},
		"nothing encrypted":      {"-keypbe", "NONE", "-certpbe", "NONE"},
		"key encrypted":          {"-certpbe", "NONE"},
		"certificates encrypted": {"-keypbe", "NONE"},
		"iterations":             {"-iter", "100000", "-macalg", "sha1"},
		"one MAC iteration":      {"-nomaciter", "-noiter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := Decode(t.Context(), p.openssl(t, "pw", args...), "pw")
			p.check(t, f, err)
		})
	}
	for _, scheme := range []string{
		"PBE-SHA1-3DES", "PBE-SHA1-2DES", "PBE-SHA1-RC2-128", "PBE-SHA1-RC2-40", "PBE-SHA1-RC4-128", "PBE-SHA1-RC4-40",
		"PBE-MD5-DES", "PBE-SHA1-DES", "PBE-MD5-RC2-64", "PBE-SHA1-RC2-64",
		"AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "DES-EDE3-CBC", "DES-CBC",
	} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			f, err := Decode(t.Context(), p.openssl(t, "pw", "-legacy", "-keypbe", scheme, "-certpbe", scheme), "pw")
			p.check(t, f, err)
		})
	}
	for _, digest := range []string{"sha1", "sha224", "sha256", "sha384", "sha512"} {
		t.Run("MAC "+digest, func(t *testing.T) {
			t.Parallel()
			f, err := Decode(t.Context(), p.openssl(t, "pw", "-macalg", digest), "pw")
			p.check(t, f, err)
		})
	}
	for _, password := range []string{"", "grüße", "Ωмир", "𝒫😀 beyond", strings.Repeat("long", 50)} {
		for name, args := range map[string][]string{"": nil, "old defaults, ": {"-legacy"}, "no MAC, ": {"-nomac"}, "old, no MAC, ": {"-legacy", "-nomac"}} {
			t.Run(name+"password "+password, func(t *testing.T) {
				t.Parallel()
				f, err := Decode(t.Context(), p.openssl(t, password, args...), password)
				p.check(t, f, err)
			})
		}
	}
	t.Run("a password of OpenSSL 1.0", func(t *testing.T) {
		t.Parallel()
		// Its file is one under the text that UTF-8, taken for Latin-1, makes.
		var latin1 []rune
		for _, b := range []byte("grüße") {
			latin1 = append(latin1, rune(b))
		}
		f, err := Decode(t.Context(), p.openssl(t, string(latin1), "-legacy"), "grüße")
		p.check(t, f, err)
	})
	t.Run("certificates alone", func(t *testing.T) {
		t.Parallel()
		for _, args := range [][]string{{"-nokeys"}, {"-nokeys", "-legacy"}, {"-nokeys", "-certpbe", "NONE", "-nomac"}} {
			f, err := Decode(t.Context(), p.openssl(t, "", args...), "")
			if err != nil {
				t.Fatal(err)
			}
			p.checkCertificates(t, f)
			for i, c := range f.Certificates {
				if !bytes.Equal(c.DER, p.chain[i]) {
					t.Errorf("%q: certificate %d is not the one at its place in the file", args, i)
				}
			}
			if len(f.Keys) > 0 {
				t.Errorf("%q: %d keys", args, len(f.Keys))
			}
		}
	})
}

// TestDecodePassword: a wrong password and a missing one are told apart, with a MAC
// and without.
func TestDecodePassword(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for name, args := range map[string][]string{
		"defaults":          nil,
		"old defaults":      {"-legacy"},
		"no MAC":            {"-nomac"},
		"old, no MAC":       {"-legacy", "-nomac"},
		"RC4, no MAC":       {"-legacy", "-nomac", "-keypbe", "PBE-SHA1-RC4-128", "-certpbe", "PBE-SHA1-RC4-128"},
		"a key alone in it": {"-nomac", "-certpbe", "NONE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := p.openssl(t, "pw", args...)
			for password, want := range map[string]error{"": pbe.ErrMissingPassword, "PW": pbe.ErrWrongPassword, "pw ": pbe.ErrWrongPassword} {
				if _, err := Decode(t.Context(), file, password); err != want {
					t.Errorf("%q: %v, want %v", password, err, want)
				}
			}
		})
	}
}

// TestDecodeFiles reads what programs wrote that are not run here.
func TestDecodeFiles(t *testing.T) {
	t.Parallel()
	load := func(name string) []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var p pair
	block, _ := pem.Decode(load("key.pem"))
	p.key = block.Bytes
	for block, rest := pem.Decode(load("chain.pem")); block != nil; block, rest = pem.Decode(rest) {
		p.chain = append(p.chain, block.Bytes)
	}
	for _, name := range []string{"bc.p12", "gnutls.p12", "nss.p12", "nss-old.p12"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := load(name)
			f, err := Decode(t.Context(), data, "pw")
			p.check(t, f, err)
			if f.Keys[0].FriendlyName != "leaf" {
				t.Errorf("the key is called %q", f.Keys[0].FriendlyName)
			}
			if !Is(data) {
				t.Error("it does not look like PKCS #12")
			}
		})
	}
	f, err := Decode(t.Context(), append(load("bc.p12"), 0, 0, 0), "pw")
	p.check(t, f, err) // what follows the file is passed over
	if Is(p.chain[0]) || Is(p.key) || Is(nil) {
		t.Error("a certificate, a key or nothing looks like PKCS #12")
	}
}

// TestDecodeJava reads a key store of Java, in which keys have the store's password.
func TestDecodeJava(t *testing.T) {
	t.Parallel()
	need(t, "keytool")
	store := filepath.Join(t.TempDir(), "store.p12")
	for _, alias := range []string{"first", "second"} {
		run(t, nil, "keytool", "-genkeypair", "-alias", alias, "-keyalg", "EC", "-dname", "CN="+alias, "-storetype", "PKCS12", "-keystore", store, "-storepass", "secret")
	}
	data, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Decode(t.Context(), data, "secret")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Keys) != 2 || len(f.Certificates) != 2 {
		t.Fatalf("%d keys and %d certificates, want 2 and 2", len(f.Keys), len(f.Certificates))
	}
	for i, name := range []string{"first", "second"} {
		key := f.Keys[i]
		if key.FriendlyName != name || !bytes.Equal(key.LocalKeyID, f.Certificates[i].LocalKeyID) {
			t.Errorf("key %d: %q, %q; its certificate %q", i, key.FriendlyName, key.LocalKeyID, f.Certificates[i].LocalKeyID)
		}
	}
}

// pfx is a file without a MAC.
func pfx(t testing.TB, safes ...build) []byte {
	t.Helper()
	authenticated, err := marshal(sequenceOf(safes...))
	if err != nil {
		t.Fatal(err)
	}
	return made(t, sequenceOf(integer(version), data(authenticated)))
}

func made(t testing.TB, element build) []byte {
	t.Helper()
	der, err := marshal(element)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// plainCert and plainKey are bags.
func plainCert(der []byte) build {
	return sequenceOf(oid(oidCertBag), tagged(explicit0, sequenceOf(oid(oidX509), tagged(explicit0, octetString(der)))))
}

func plainKey(der []byte) build { return sequenceOf(oid(oidKeyBag), tagged(explicit0, raw(der))) }

// nested is a bag of safe contents in so many others.
func nested(levels int, bag build) build {
	for range levels {
		bag = sequenceOf(oid(oidContentsBag), tagged(explicit0, sequenceOf(bag)))
	}
	return bag
}

func safe(t testing.TB, bags ...build) build { return data(made(t, sequenceOf(bags...))) }

// TestDecodeShapes reads what no program here writes and the standard allows.
func TestDecodeShapes(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	all := []build{plainCert(p.chain[0]), plainCert(p.chain[1]), plainCert(p.chain[2])}
	empty := safe(t)
	crl := sequenceOf(oid(append(oidCertBag[:9:9], 4)), tagged(explicit0, sequenceOf(oid(oidX509))))
	for name, file := range map[string][]byte{
		"one safe":                       pfx(t, safe(t, all...)),
		"a safe each":                    pfx(t, safe(t, all[0]), safe(t, all[1]), safe(t, all[2])),
		"an empty safe before and after": pfx(t, empty, safe(t, all...), empty),
		"a safe without content":         pfx(t, safe(t, all...), sequenceOf(oid(oidData))),
		"a safe of no bytes":             pfx(t, data(nil), safe(t, all...)),
		"nested":                         pfx(t, safe(t, all[0], nested(maxDepth-1, all[1]), all[2])),
		"a CRL among them":               pfx(t, safe(t, all[0], crl, all[1], all[2])),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := Decode(t.Context(), file, "of no use")
			if err != nil {
				t.Fatal(err)
			}
			p.checkCertificates(t, f)
			for i, c := range f.Certificates {
				if !bytes.Equal(c.DER, p.chain[i]) {
					t.Errorf("certificate %d is not the one at its place in the file", i)
				}
			}
		})
	}
	f, err := Decode(t.Context(), pfx(t, safe(t, plainKey(p.key))), "")
	if err != nil || len(f.Keys) != 1 || !bytes.Equal(f.Keys[0].PKCS8, p.key) {
		t.Errorf("a key that is not encrypted: %v, %v", f, err)
	}
	indefinite := slices.Concat([]byte{0x30, 0x80}, p.key[3:], []byte{0, 0}) // instead of a header of three bytes
	algorithm, ciphertext, err := pbe.Seal(salts(), pbe.Null, indefinite)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = Decode(t.Context(), pfx(t, data(made(t, keyBag(algorithm, ciphertext, "")))), ""); err != nil || len(f.Keys) != 1 || !bytes.Equal(f.Keys[0].PKCS8, p.key) {
		t.Errorf("a key in BER: %v, %v", f, err)
	}
	if f, err := Decode(t.Context(), pfx(t), ""); err != nil || len(f.Certificates) > 0 {
		t.Errorf("a file of nothing: %v, %v", f, err)
	}
}

// TestDecodeNullPassword reads contents encrypted under no password and under the
// empty one, whatever the MAC was made with: Java takes each by itself.
func TestDecodeNullPassword(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	forms := pbe.Passwords("")
	for i, encrypted := range forms {
		for j, authenticated := range forms {
			algorithm, ciphertext, err := pbe.Seal(salts(), encrypted, made(t, sequenceOf(plainCert(p.chain[0]))))
			if err != nil {
				t.Fatal(err)
			}
			safes := made(t, sequenceOf(encryptedData(algorithm, ciphertext), safe(t)))
			mac, err := pbe.Authenticate(strings.NewReader(strings.Repeat("m", 100)), authenticated, safes)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Decode(t.Context(), made(t, sequenceOf(integer(version), data(safes), raw(mac))), "")
			if err != nil || len(f.Certificates) != 1 || !bytes.Equal(f.Certificates[0].DER, p.chain[0]) {
				t.Errorf("encrypted under form %d, authenticated under form %d: %v, %v", i, j, f, err)
			}
		}
	}
}

// TestDecodeRefuses: what cannot be read is named.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	signed := append(oidData[:6:6], 2)
	enveloped := append(oidData[:6:6], 3)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":                  {nil, "the PKCS #12 file cannot be read: an element is longer than what holds it"},
		"text":                     {[]byte("hello, this is text"), "the PKCS #12 file cannot be read: an element is longer than what holds it"},
		"another version":          {made(t, sequenceOf(integer(1), data(nil))), "the PKCS #12 file cannot be read"},
		"signed":                   {made(t, sequenceOf(integer(version), sequenceOf(oid(signed)))), "the type of the file's content 1.2.840.113549.1.7.2 is not supported"},
		"enveloped":                {pfx(t, sequenceOf(oid(enveloped))), "the type of a safe 1.2.840.113549.1.7.3 is not supported"},
		"a MAC of MD5":             {made(t, sequenceOf(integer(version), data(nil), sequenceOf(sequenceOf(sequenceOf(oid([]int{1, 2, 840, 113549, 2, 5})), octetString(nil)), octetString(nil)))), "the MAC algorithm 1.2.840.113549.2.5 is not supported"},
		"a bag of nothing":         {pfx(t, safe(t, sequenceOf())), "the bag cannot be read"},
		"a certificate of nothing": {pfx(t, safe(t, sequenceOf(oid(oidCertBag), tagged(explicit0)))), "the certificate bag cannot be read"},
		"a safe of text":           {pfx(t, data([]byte("text"))), "the safe contents cannot be read: an element is longer than what holds it"},
		"nested too deeply":        {pfx(t, safe(t, nested(maxDepth, sequenceOf(oid(oidCertBag), tagged(explicit0))))), "the PKCS #12 file cannot be read: it has too many parts, or they are nested too deeply"},
		"too many safes":           {pfx(t, many(maxParts+1, safe(t))...), "the PKCS #12 file cannot be read: it has too many parts, or they are nested too deeply"},
		"too many bags":            {pfx(t, safe(t, many(maxParts, plainCert(nil))...)), "the PKCS #12 file cannot be read: it has too many parts, or they are nested too deeply"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Decode(t.Context(), c.file, ""); err == nil || err.Error() != c.want {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

func many(n int, element build) []build {
	elements := make([]build, n)
	for i := range elements {
		elements[i] = element
	}
	return elements
}

// costly is an AlgorithmIdentifier of so many iterations.
func costly(iterations int64) build {
	return sequenceOf(oid([]int{1, 2, 840, 113549, 1, 12, 1, 3}), sequenceOf(octetString([]byte("saltsalt")), integer(iterations)))
}

// TestDecodeCosts: no place of a file asks for more work than is done, and what is
// refused is refused before it is done: each of these would take hours.
func TestDecodeCosts(t *testing.T) {
	t.Parallel()
	const hours = 1 << 40
	encryptedBag := func(iterations int64) build {
		return sequenceOf(oid(oidShroudedBag), tagged(explicit0, sequenceOf(costly(iterations), octetString(make([]byte, 32)))))
	}
	algorithm, ciphertext, err := pbe.Seal(salts(), pbe.Null, made(t, sequenceOf(encryptedBag(hours))))
	if err != nil {
		t.Fatal(err)
	}
	mac := func(iterations int64) build {
		return sequenceOf(sequenceOf(sequenceOf(oid([]int{1, 3, 14, 3, 2, 26})), octetString(make([]byte, 20))), octetString([]byte("salt")), integer(iterations))
	}
	encryptedSafe := encryptedData(made(t, costly(hours)), make([]byte, 32))
	for name, file := range map[string][]byte{
		"the MAC":                        made(t, sequenceOf(integer(version), data(nil), mac(hours))),
		"a safe":                         pfx(t, encryptedSafe),
		"a safe behind others":           pfx(t, safe(t), safe(t), safe(t), encryptedSafe),
		"a key":                          pfx(t, safe(t, encryptedBag(hours))),
		"a key in nested safe contents":  pfx(t, safe(t, nested(3, encryptedBag(hours)))),
		"a key within an encrypted safe": pfx(t, encryptedData(algorithm, ciphertext)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Decode(t.Context(), file, ""); err != pbe.ErrTooCostly {
				t.Errorf("%v, want %v", err, pbe.ErrTooCostly)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Decode(ctx, pfx(t, safe(t, encryptedBag(1))), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

// TestDecodeTotal: what the parts of a file cost is added up, the MAC included.
func TestDecodeTotal(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	random := salts()
	var safes []build
	for _, cert := range p.chain {
		algorithm, ciphertext, err := pbe.Seal(random, pbe.Null, made(t, sequenceOf(plainCert(cert))))
		if err != nil {
			t.Fatal(err)
		}
		safes = append(safes, encryptedData(algorithm, ciphertext))
	}
	authenticated := made(t, sequenceOf(safes...))
	mac, err := pbe.Authenticate(random, pbe.Null, authenticated)
	if err != nil {
		t.Fatal(err)
	}
	file := made(t, sequenceOf(integer(version), data(authenticated), raw(mac)))
	const cost = 2000*3*3 + 2000 // iterations: key of two hashes and IV of three safes, a MAC
	for allowed, want := range map[int64]error{cost: nil, cost - 1: pbe.ErrTooCostly} {
		d := &decoder{ctx: t.Context(), work: pbe.NewWork(allowed), passwords: pbe.Passwords("")}
		if err := d.file(file); err != want {
			t.Errorf("%d hashes allowed: %v, want %v", allowed, err, want)
		}
	}
}

// TestDecodeGo reads what go-pkcs12 writes: PBMAC1 of RFC 9579 among it, and the
// key stores of certificates alone that Java trusts.
func TestDecodeGo(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	key, err := x509.ParsePKCS8PrivateKey(p.key)
	if err != nil {
		t.Fatal(err)
	}
	var certs []*x509.Certificate
	for _, der := range p.chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, c)
	}
	for name, c := range map[string]struct {
		encoder  *sslmate.Encoder
		password string
	}{
		"LegacyRC2":    {sslmate.LegacyRC2, "pw"},
		"LegacyDES":    {sslmate.LegacyDES, "pw"},
		"Modern2023":   {sslmate.Modern2023, "pw"},
		"Modern2026":   {sslmate.Modern2026, "pw"},
		"Passwordless": {sslmate.Passwordless, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := c.encoder.Encode(key, certs[0], certs[1:], c.password)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Decode(t.Context(), file, c.password)
			p.check(t, f, err)
			if _, err := Decode(t.Context(), file, "wrong"); c.password != "" && err != pbe.ErrWrongPassword {
				t.Errorf("under a wrong password: %v", err)
			}
			if file, err = c.encoder.EncodeTrustStore(certs, c.password); err != nil {
				t.Fatal(err)
			}
			if f, err = Decode(t.Context(), file, c.password); err != nil {
				t.Fatal(err)
			}
			p.checkCertificates(t, f)
		})
	}
}
