package pkcs12

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	xpkcs12 "golang.org/x/crypto/pkcs12"
	sslmate "software.sslmate.com/src/go-pkcs12"

	"github.com/certwright/certwright/handler/internal/pbe"
)

const guid = "0ea5c5ba-8d4c-4d0b-9d5c-1d1f3a3f6d5e"

// salts are what a test takes for randomness.
func salts() *strings.Reader { return strings.NewReader(strings.Repeat("0123456789abcdef", 4)) }

func encode(t *testing.T, c Contents) []byte {
	t.Helper()
	file, err := Encode(salts(), c)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestEncode: what is written is read, in Key Vault's order or the chain's, and the
// same salts make the same file.
func TestEncode(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for _, leafFirst := range []bool{false, true} {
		for _, key := range [][]byte{p.key, nil} {
			c := Contents{Key: key, FriendlyName: guid, Chain: p.chain, LeafFirst: leafFirst}
			file := encode(t, c)
			if !bytes.Equal(file, encode(t, c)) {
				t.Error("the same salts made another file")
			}
			f, err := Decode(t.Context(), file, "")
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(p.chain)
			if !leafFirst {
				slices.Reverse(want)
			}
			for i, cert := range f.Certificates {
				if !bytes.Equal(cert.DER, want[i]) {
					t.Errorf("leaf first %v: certificate %d is another one", leafFirst, i)
				}
				id := ""
				if key != nil && bytes.Equal(cert.DER, p.chain[0]) {
					id = localKeyID
				}
				if string(cert.LocalKeyID) != id || cert.FriendlyName != "" {
					t.Errorf("certificate %d has the local key id %x and the name %q", i, cert.LocalKeyID, cert.FriendlyName)
				}
			}
			switch {
			case key == nil && len(f.Keys) > 0:
				t.Error("there is a key")
			case key != nil && (len(f.Keys) != 1 || !bytes.Equal(f.Keys[0].PKCS8, key) || string(f.Keys[0].LocalKeyID) != localKeyID || f.Keys[0].FriendlyName != guid):
				t.Errorf("the key is %+v", f.Keys)
			}
		}
	}
	if _, err := Encode(strings.NewReader("too short"), Contents{Key: p.key, Chain: p.chain}); err == nil {
		t.Error("a file was written without randomness")
	}
}

// TestEncodeNull: the MAC is one of the null password and not of the empty one,
// of SHA-1 and 2000 iterations, as Key Vault writes it. Most readers try both.
func TestEncodeNull(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	pfx := cryptobyte.String(encode(t, Contents{Key: p.key, Chain: p.chain[:1]}))
	if !pfx.ReadASN1(&pfx, asn1.SEQUENCE) || !isVersion(&pfx) {
		t.Fatal("not a PFX")
	}
	_, content, err := contentInfo(&pfx)
	if err != nil {
		t.Fatal(err)
	}
	authenticated, ok := octets(content)
	if !ok {
		t.Fatal("no authenticated safe")
	}
	if !bytes.HasSuffix(pfx, []byte{2, 2, 0x07, 0xd0}) || !bytes.Contains(pfx, []byte{0x2b, 0x0e, 3, 2, 0x1a}) {
		t.Errorf("the MAC is %x, want one of SHA-1 and 2000 iterations", []byte(pfx))
	}
	mac, err := pbe.ReadMAC(&pfx)
	if err != nil {
		t.Fatal(err)
	}
	forms := pbe.Passwords("")
	for i, want := range []error{nil, pbe.ErrWrongPassword} {
		if err := mac.Try(t.Context(), pbe.NewWork(pbe.MaxHashes), forms[i:i+1], authenticated); err != want {
			t.Errorf("form %d of no password: %v, want %v", i, err, want)
		}
	}
}

// parsePEM is what a program printed: the key and the certificates.
func parsePEM(text []byte) (f File) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			f.Certificates = append(f.Certificates, Certificate{DER: block.Bytes})
		case "PRIVATE KEY":
			f.Keys = append(f.Keys, Key{PKCS8: block.Bytes})
		}
	}
	return f
}

func (p pair) checkText(t *testing.T, text []byte, key []byte) {
	t.Helper()
	f := parsePEM(text)
	p.checkCertificates(t, &f)
	if key == nil && len(f.Keys) > 0 || key != nil && (len(f.Keys) != 1 || !bytes.Equal(f.Keys[0].PKCS8, key)) {
		t.Errorf("%d keys, or another one", len(f.Keys))
	}
}

// TestEncodeReaders: others open what is written, with a key and without.
func TestEncodeReaders(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	both := encode(t, Contents{Key: p.key, FriendlyName: guid, Chain: p.chain})
	certs := encode(t, Contents{FriendlyName: guid, Chain: p.chain})

	t.Run("OpenSSL", func(t *testing.T) {
		t.Parallel()
		p.checkText(t, run(t, both, "openssl", "pkcs12", "-nodes", "-passin", "pass:"), p.key)
		p.checkText(t, run(t, certs, "openssl", "pkcs12", "-nodes", "-passin", "pass:"), nil)
		text := string(run(t, both, "openssl", "pkcs12", "-nodes", "-passin", "pass:"))
		if strings.Count(text, "localKeyID: 01 00 00 00") != 2 || strings.Count(text, "friendlyName: "+guid) != 1 {
			t.Errorf("attributes:\n%s", text)
		}
	})
	t.Run("Python", func(t *testing.T) {
		t.Parallel()
		const program = `
import base64, sys
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
for line in sys.stdin:
    f = load_pkcs12(base64.b64decode(line), None)
    certs = [c.certificate for c in [f.cert, *f.additional_certs] if c]
    key = f.key and f.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    print(key or "", "".join(c.public_bytes(Encoding.PEM).decode() for c in certs), "\f", sep="", end="")
`
		python := "python3"
		if venv, err := filepath.Abs("../../../.venv/bin/python"); err == nil && exec.Command(venv, "-c", "import cryptography").Run() == nil {
			python = venv
		}
		if err := exec.CommandContext(t.Context(), python, "-c", "import cryptography").Run(); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip("Python's cryptography is not installed: ", err)
		}
		lines := base64.StdEncoding.EncodeToString(both) + "\n" + base64.StdEncoding.EncodeToString(certs) + "\n"
		texts := strings.Split(string(run(t, []byte(lines), python, "-c", program)), "\f")
		p.checkText(t, []byte(texts[0]), p.key)
		p.checkText(t, []byte(texts[1]), nil)
	})
	t.Run("Node.js", func(t *testing.T) {
		t.Parallel()
		need(t, "node")
		const program = `
const pfx = require("fs").readFileSync(0), tls = require("tls"), crypto = require("crypto");
const server = tls.createServer({ pfx, passphrase: "" }, s => s.end());
server.listen(0, "127.0.0.1", () => {
	const ca = process.argv[1];
	const socket = tls.connect({ host: "127.0.0.1", port: server.address().port, ca, checkServerIdentity: () => {} }, () => {
		const peer = socket.getPeerCertificate(true);
		console.log(peer.subject.CN, peer.issuerCertificate.subject.CN);
		socket.destroy();
		server.close();
	});
});`
		root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.chain[2]})
		// Node takes no null passphrase; the empty one stands for both in OpenSSL.
		if got := string(run(t, both, "node", "-e", program, "--", string(root))); got != "leaf.example.com Intermediate\n" {
			t.Errorf("the server shows %q", got)
		}
	})
	t.Run("Java", func(t *testing.T) {
		t.Parallel()
		need(t, "javac")
		const program = `
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.Collections;

class Read {
	public static void main(String[] args) throws Exception {
		KeyStore store = KeyStore.getInstance("PKCS12");
		store.load(System.in, new char[0]);
		for (String alias : Collections.list(store.aliases())) {
			System.out.print(alias + " " + store.getKey(alias, new char[0]).getAlgorithm());
			for (var c : store.getCertificateChain(alias))
				System.out.print(" " + ((X509Certificate) c).getSubjectX500Principal().getName());
			System.out.println();
		}
	}
}`
		source := filepath.Join(t.TempDir(), "Read.java")
		if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, want := string(run(t, both, "java", source)), guid+" EC CN=leaf.example.com CN=Intermediate CN=Root\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		run(t, certs, "java", source) // Java lists no certificate without an attribute of its own, which Key Vault does not write
	})
	t.Run("x/crypto", func(t *testing.T) {
		t.Parallel()
		blocks, err := xpkcs12.ToPEM(both, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(blocks) != 4 {
			t.Errorf("%d blocks, want 4", len(blocks))
		}
	})
	t.Run("go-pkcs12", func(t *testing.T) {
		t.Parallel()
		key, leaf, rest, err := sslmate.DecodeChain(both, "")
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil || !bytes.Equal(der, p.key) {
			t.Errorf("another key, %v", err)
		}
		// It takes the first for the leaf, wherever the local key id is.
		if len(rest) != 2 || !bytes.Equal(leaf.Raw, p.chain[2]) {
			t.Errorf("%d certificates behind %q", len(rest), leaf.Subject)
		}
		first := encode(t, Contents{Key: p.key, Chain: p.chain, LeafFirst: true})
		if _, leaf, _, err = sslmate.DecodeChain(first, ""); err != nil || !bytes.Equal(leaf.Raw, p.chain[0]) {
			t.Errorf("%v, %v", leaf, err)
		}
	})
}
