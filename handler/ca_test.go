package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/issuers/privateca"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/scripts/localcloud/azurite"
)

// operator runs commands with settings.
type operator struct {
	t        *testing.T
	settings map[string]string
	dir      string
}

// newOperator has the settings of one private CA, the provider Corp, with its
// chain in a file of the operator's folder.
func newOperator(t *testing.T, ca map[string]any) *operator {
	t.Helper()
	o := &operator{t: t, dir: t.TempDir()}
	kek := o.write("kek", []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))))
	ca = maps.Clone(ca)
	ca["chain"] = o.path("chain.pem")
	if ca["keyFile"] != nil {
		ca["keyFile"] = o.path("ca.key")
	}
	providers, err := json.Marshal(map[string]any{"Corp": map[string]any{"privateca": ca}, "Portal": map[string]any{"webhook": map[string]any{"url": "https://ca.example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	// What a command on the state needs, and no more.
	o.settings = map[string]string{
		"CERTWRIGHT_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true",
		"CERTWRIGHT_KEK_FILE":                  kek,
		"CERTWRIGHT_PROVIDERS":                 string(providers),
	}
	return o
}

func (o *operator) path(name string) string { return filepath.Join(o.dir, name) }

func (o *operator) write(name string, content []byte) string {
	o.t.Helper()
	if err := os.WriteFile(o.path(name), content, 0o600); err != nil {
		o.t.Fatal(err)
	}
	return o.path(name)
}

func (o *operator) read(name string) []byte {
	o.t.Helper()
	content, err := os.ReadFile(o.path(name))
	if err != nil {
		o.t.Fatal(err)
	}
	return content
}

// run runs the program.
func (o *operator) run(in string, args ...string) (string, error) {
	var out bytes.Buffer
	err := run(args, terminal{func(name string) string { return o.settings[name] }, strings.NewReader(in), &out})
	return out.String(), err
}

// does runs the program, which must succeed and print texts.
func (o *operator) does(args []string, texts ...string) string {
	o.t.Helper()
	out, err := o.run("", args...)
	if err != nil {
		o.t.Fatalf("handler %q: %v", args, err)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			o.t.Errorf("handler %q does not say %q:\n%s", args, text, out)
		}
	}
	return out
}

// refuses runs the program, which must fail and say texts.
func (o *operator) refuses(args []string, texts ...string) {
	o.t.Helper()
	out, err := o.run("", args...)
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			o.t.Errorf("handler %q: %v, want an error with %q\n%s", args, err, text, out)
		}
	}
}

// openssl runs OpenSSL in the operator's folder.
func (o *operator) openssl(args ...string) string {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), "openssl", args...)
	cmd.Dir = o.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("openssl %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func (o *operator) chain() []*x509.Certificate {
	o.t.Helper()
	chain, err := privateca.ParseChain(o.read("chain.pem"))
	if err != nil {
		o.t.Fatal(err)
	}
	return chain
}

func TestMakeRootInFiles(t *testing.T) {
	t.Parallel()
	o := newOperator(t, map[string]any{"keyFile": true})
	o.refuses([]string{"ca", "make", "-provider", "corp"}, "no common name")
	o.refuses([]string{"ca", "make", "-provider", "corp", "-cn", "Dev Root", "-key", "P-1"}, `no kind of key "P-1"`)
	if _, err := os.Stat(o.path("ca.key")); err == nil {
		t.Error("a key was stored for a CA that was not made")
	}
	out := o.does([]string{"ca", "make", "-provider", "CORP", "-cn", "Dev Root", "-o", "Contoso", "-c", "DE", "-years", "2", "-depth", "1", "-dns", "corp.test,dev.test", "-ips", "10.0.0.0/8"},
		"provider corp\nCN=Dev Root,O=Contoso,C=DE\n", "ECDSA on P-384, in the file", ".crl: none, as it is not set", "at most 1 CAs below it")
	if strings.Contains(out, "NOT USABLE") {
		t.Error(out)
	}
	if info, err := os.Stat(o.path("ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	text := o.openssl("x509", "-noout", "-text", "-in", "chain.pem")
	for _, part := range []string{"C = DE, O = Contoso, CN = Dev Root", "pathlen:1", "DNS:corp.test", "DNS:dev.test", "IP:10.0.0.0/255.0.0.0"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	fingerprint := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(strings.SplitN(o.openssl("x509", "-noout", "-fingerprint", "-sha256", "-in", "chain.pem"), "=", 2)[1]), ":", ""))
	if !strings.Contains(out, "SHA-256 fingerprint "+fingerprint) {
		t.Errorf("no fingerprint %s in\n%s", fingerprint, out)
	}
	key, chain := o.read("ca.key"), o.read("chain.pem")
	o.refuses([]string{"ca", "make", "-provider", "corp", "-cn", "Another"}, "has a CA already")
	if !bytes.Equal(key, o.read("ca.key")) || !bytes.Equal(chain, o.read("chain.pem")) {
		t.Error("the CA was changed")
	}
	if shown := o.does([]string{"ca", "show"}); shown != out {
		t.Errorf("shown:\n%s\nwhen it was made:\n%s", shown, out)
	}
	// A key that is lost, or another's, is told.
	if err := os.Remove(o.path("ca.key")); err != nil {
		t.Fatal(err)
	}
	o.does([]string{"ca", "show"}, "NOT USABLE", "there is no key")
	o.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ca.key")
	o.does([]string{"ca", "show"}, "NOT USABLE", "the key is not that of")
}

// A make that was killed between key and certificate is gone on with.
func TestMakeRootAgain(t *testing.T) {
	t.Parallel()
	o := newOperator(t, map[string]any{"keyFile": true})
	args := []string{"ca", "make", "-provider", "corp", "-cn", "Dev Root"}
	o.does(args)
	key := o.read("ca.key")
	if err := os.Remove(o.path("chain.pem")); err != nil {
		t.Fatal(err)
	}
	o.does(args)
	if !bytes.Equal(key, o.read("ca.key")) {
		t.Error("another key was made")
	}
}

// TestSealedCA: a CA whose key is sealed in storage is made by the command,
// issues and revokes in the app, and is shown.
func TestSealedCA(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	storage, err := azurite.Start(ctx, azurite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer storage.Stop()
	o := newOperator(t, map[string]any{"sealed": true, "crl": true})
	o.settings["CERTWRIGHT_STORAGE_CONNECTION_STRING"] = storage.ConnectionString()
	o.does([]string{"ca", "make", "-provider", "corp", "-cn", "Sealed Root", "-key", "P-256"},
		"ECDSA on P-256, sealed in storage\n", "certificate at /.well-known/certwright/", ".crl: not published yet")
	if files, err := os.ReadDir(o.dir); err != nil || len(files) != 2 { // kek and chain.pem
		t.Errorf("%v, %v", files, err)
	}

	f, server := o.start()
	leaf := obtain(t, f, server, "corp")
	root := o.chain()[0]
	if err := leaf.CheckSignatureFrom(root); err != nil {
		t.Error(err)
	}
	if len(leaf.CRLDistributionPoints)+len(leaf.IssuingCertificateURL) != 0 {
		t.Errorf("URLs that are not configured: %q, %q", leaf.CRLDistributionPoints, leaf.IssuingCertificateURL)
	}
	if err := f.cas[caName(root)].Revoke(ctx, vault.IssuerObject{}, leaf, 1); err != nil {
		t.Fatal(err)
	}
	o.does([]string{"ca", "show", "-provider", "corp"}, ".crl: number 2 from ", ", 1 certificates revoked\n")

	// Another provider's CA has its key beside it.
	other := newOperator(t, map[string]any{"sealed": true})
	other.settings["CERTWRIGHT_STORAGE_CONNECTION_STRING"] = storage.ConnectionString()
	other.does([]string{"ca", "make", "-provider", "corp", "-cn", "Next Root", "-key", "RSA-2048"}, "RSA of 2048 bits, sealed in storage\n")
	o.does([]string{"ca", "show"}, "ECDSA on P-256, sealed in storage\n")
	// Without the row there is no key.
	o.settings["CERTWRIGHT_VAULT_ID"] = "elsewhere"
	o.does([]string{"ca", "show"}, "NOT USABLE: there is no key")
}

// start runs the app with the operator's settings.
func (o *operator) start() (*functions, *httptest.Server) {
	o.t.Helper()
	cfg, err := parse(development, o.settings)
	if err != nil {
		o.t.Fatal(err)
	}
	handler, err := build(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		o.t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	o.t.Cleanup(server.Close)
	return handler.(*functions), server
}

// A poll may sign with a key that is opened without the network: one in a file,
// or a sealed one where the key-encryption key is in a file.
func TestInstantCAs(t *testing.T) {
	t.Parallel()
	root, keyFile := newRoot(t)
	chain := writePEM(t, root.Raw)
	for name, test := range map[string]struct {
		cfg      privateCAConfig
		localKEK bool
		instant  bool
	}{
		"file":                      {privateCAConfig{Chain: chain, KeyFile: keyFile}, false, true},
		"sealed by a file":          {privateCAConfig{Chain: chain, Sealed: true}, true, true},
		"sealed by a key elsewhere": {privateCAConfig{Chain: chain, Sealed: true}, false, false},
	} {
		issuer, err := test.cfg.open(surroundings{localKEK: test.localKEK})
		if err != nil {
			t.Fatal(err)
		}
		if instant := issuer.(vault.Instant).Instant(); instant != test.instant {
			t.Errorf("%s: instant %t", name, instant)
		}
	}
	for _, cfg := range []privateCAConfig{{Chain: chain}, {Chain: chain, KeyFile: keyFile, Sealed: true}, {Chain: chain, KeyID: "https://kv.example.com/keys/ca/0123456789abcdef0123456789abcdef", Sealed: true}} {
		if _, err := cfg.open(surroundings{}); err == nil || !strings.Contains(err.Error(), "set one of keyId, sealed, and keyFile") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	if _, err := (&privateCAConfig{Chain: writePEM(t, root.Raw), KeyFile: writePEM(t, root.Raw)}).open(surroundings{}); err == nil {
		t.Error("a key file without a key is accepted")
	}
	_, another := newRoot(t)
	if _, err := (&privateCAConfig{Chain: chain, KeyFile: another}).open(surroundings{}); err == nil || !strings.Contains(err.Error(), "the key is not that of") {
		t.Errorf("another CA's key: %v", err)
	}
}

// TestIntermediate: the CSR goes to OpenSSL, which is the CA above, and the chain
// comes back; later the CA is renewed.
func TestIntermediate(t *testing.T) {
	t.Parallel()
	o := newOperator(t, map[string]any{"keyFile": true})
	o.refuses([]string{"ca", "make", "-provider", "corp", "-request", "-cn", "a", "-years", "3"}, "-years goes without -request")
	csr := o.does([]string{"ca", "make", "-provider", "corp", "-request", "-cn", "Issuing CA", "-key", "P-256"})
	o.write("ca.csr", []byte(csr))
	if _, err := os.Stat(o.path("chain.pem")); err == nil {
		t.Error("there is a chain")
	}
	o.write("extensions", []byte("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"))
	o.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "root.key", "-out", "root.pem", "-days", "3650", "-subj", "/CN=Root",
		"-addext", "keyUsage=critical,keyCertSign,cRLSign")
	issue := func(days string) {
		o.openssl("x509", "-req", "-in", "ca.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", days, "-extfile", "extensions", "-out", "issued.pem")
		o.write("bundle.pem", append(o.read("issued.pem"), o.read("root.pem")...))
	}
	issue("100")
	o.does([]string{"ca", "import", "-provider", "corp", "-chain", o.path("bundle.pem")}, "CN=Issuing CA\n", "issued by CN=Root\n", "ECDSA on P-256, in the file")
	first := o.chain()
	if len(first) != 2 {
		t.Errorf("%d certificates in the chain", len(first))
	}
	if info, err := os.Stat(o.path("chain.pem")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the chain's file: %v, %v", info, err)
	}
	issue("200")
	o.does([]string{"ca", "import", "-provider", "corp", "-chain", o.path("bundle.pem")})
	if second := o.chain(); !second[0].NotAfter.After(first[0].NotAfter) || !bytes.Equal(second[0].SubjectKeyId, first[0].SubjectKeyId) {
		t.Error("the CA was not renewed")
	}
	// Another CA does not take its place.
	o.refuses([]string{"ca", "import", "-provider", "corp", "-chain", o.path("root.pem"), "-key", o.path("root.key")}, `is the CA "CN=Issuing CA", which has another key`)
}

func TestImportCA(t *testing.T) {
	t.Parallel()
	made := newOperator(t, map[string]any{"keyFile": true})
	made.does([]string{"ca", "make", "-provider", "corp", "-cn", "Old Root", "-key", "RSA-2048"})
	chain, key := made.path("chain.pem"), made.path("ca.key")

	o := newOperator(t, map[string]any{"keyFile": true})
	o.refuses([]string{"ca", "import", "-provider", "corp", "-chain", chain}, "the CA's key is not in the file", "give it with -key")
	o.refuses([]string{"ca", "import", "-provider", "corp", "-chain", key, "-key", key}, "0 certificates")
	o.refuses([]string{"ca", "import", "-provider", "corp", "-chain", o.path("nowhere"), "-key", key}, "no such file")
	o.refuses([]string{"ca", "import", "-provider", "corp", "-chain", chain, "-key", chain}, "there is no private key in PEM")
	o.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "other.key")
	o.refuses([]string{"ca", "import", "-provider", "corp", "-chain", chain, "-key", o.path("other.key")}, "the key is not that of")
	for _, file := range []string{"chain.pem", "ca.key"} {
		if _, err := os.Stat(o.path(file)); err == nil {
			t.Errorf("%s was written", file)
		}
	}
	out, err := o.run(string(made.read("ca.key")), "ca", "import", "-provider", "corp", "-chain", chain, "-key", "-")
	if err != nil || !strings.Contains(out, "RSA of 2048 bits, in the file "+o.path("ca.key")+"\n") {
		t.Errorf("from standard input: %v\n%s", err, out)
	}
	if block, _ := pem.Decode(o.read("ca.key")); block == nil || strings.Contains(out, base64.StdEncoding.EncodeToString(block.Bytes[:48])) {
		t.Error("the key is not stored, or is printed")
	}
	// Again, with the key or without, is no error.
	o.does([]string{"ca", "import", "-provider", "corp", "-chain", chain, "-key", key})
	o.does([]string{"ca", "import", "-provider", "corp", "-chain", chain})
}

func TestCommandsOfCA(t *testing.T) {
	t.Parallel()
	o := newOperator(t, map[string]any{"keyFile": true})
	for _, args := range [][]string{{"ca"}, {"ca", "help"}, {"ca", "-h"}} {
		o.does(args, "make ", "import ", "show ", "CERTWRIGHT_PROVIDERS")
	}
	for command, flag := range map[string]string{"make": "-request", "import": "-chain", "show": "-provider"} {
		o.does([]string{"ca", command, "-h"}, "handler ca "+command, flag)
	}
	o.refuses([]string{"serve"}, `unknown command "serve": there are ca`)
	o.refuses([]string{"ca", "revoke"}, `unknown command "revoke": there are import, make, show`)
	o.refuses([]string{"ca", "show", "corp"}, `unexpected argument "corp"`)
	o.refuses([]string{"ca", "make", "-size", "1"}, "not defined: -size")
	o.refuses([]string{"ca", "make", "-ips", "10.0.0.0"}, "10.0.0.0")
	o.refuses([]string{"ca", "make", "-cn", "a"}, "-provider")
	o.refuses([]string{"ca", "make", "-provider", "portal", "-cn", "a"}, `no private CA "portal"`, "corp")
	o.refuses([]string{"ca", "show"}, `provider "corp": reading the chain`)
	o.settings["CERTWRIGHT_KEK_FILE"] = ""
	o.refuses([]string{"ca", "show"}, "CERTWRIGHT_KEK_ID")
	// A key in a file is for development, here as in the app.
	for name, value := range production {
		o.settings[name] = value
	}
	o.settings["CERTWRIGHT_STORAGE_CONNECTION_STRING"] = ""
	o.refuses([]string{"ca", "make", "-provider", "corp", "-cn", "a"}, "a CA's key in a file is for development")
}

// A key in Key Vault is made there.
func TestKeyInVaultIsNotBrought(t *testing.T) {
	t.Parallel()
	id := fmt.Sprintf("https://kv.example.com/keys/ca/%032x", 1)
	if err := (keyInVault{nil, id}).store(t.Context(), nil); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("%v", err)
	}
}
