package ca_test

// The commands of handler ca, as an operator runs them.

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/ca"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
)

// operator runs commands with settings.
type operator struct {
	t        *testing.T
	settings map[string]string
	dir      string
}

// newOperator has the settings of one private CA, the provider Corp, with its
// chain in a file of the operator's folder.
func newOperator(t *testing.T, members map[string]any) *operator {
	t.Helper()
	o := &operator{t: t, dir: t.TempDir()}
	members = maps.Clone(members)
	members["chain"] = o.path("chain.pem")
	if members["keyFile"] != nil {
		members["keyFile"] = o.path("ca.key")
	}
	providers, err := json.Marshal(map[string]any{"Corp": map[string]any{"privateca": members}, "Portal": map[string]any{"webhook": map[string]any{"url": "https://ca.example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	// What a command on the state needs, and no more.
	o.settings = map[string]string{
		"CERTWRIGHT_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true",
		"CERTWRIGHT_KEK_FILE":                  settingstest.KEK(t),
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

// run runs a command.
func (o *operator) run(in string, args ...string) (string, error) {
	var out bytes.Buffer
	err := ca.Run(o.t.Context(), ca.Config{
		Args: args, Getenv: func(name string) string { return o.settings[name] }, Stdin: strings.NewReader(in), Stdout: &out, Now: time.Now,
	})
	return out.String(), err
}

// does runs a command, which must succeed and print texts.
func (o *operator) does(args []string, texts ...string) string {
	o.t.Helper()
	out, err := o.run("", args...)
	if err != nil {
		o.t.Fatalf("handler ca %q: %v", args, err)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			o.t.Errorf("handler ca %q does not say %q:\n%s", args, text, out)
		}
	}
	return out
}

// refuses runs a command, which must fail and say texts.
func (o *operator) refuses(args []string, texts ...string) {
	o.t.Helper()
	out, err := o.run("", args...)
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			o.t.Errorf("handler ca %q: %v, want an error with %q\n%s", args, err, text, out)
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
	o.refuses([]string{"make", "-provider", "corp"}, "no common name")
	o.refuses([]string{"make", "-provider", "corp", "-cn", "Dev Root", "-key", "P-1"}, `"P-1" is not a kind of key`)
	if _, err := os.Stat(o.path("ca.key")); err == nil {
		t.Error("a key was stored for a CA that was not made")
	}
	out := o.does([]string{"make", "-provider", "CORP", "-cn", "Dev Root", "-o", "Contoso", "-c", "DE", "-years", "2", "-depth", "1", "-dns", "corp.test,dev.test", "-ips", "10.0.0.0/8"},
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
	o.refuses([]string{"make", "-provider", "corp", "-cn", "Another"}, "has a CA already")
	if !bytes.Equal(key, o.read("ca.key")) || !bytes.Equal(chain, o.read("chain.pem")) {
		t.Error("the CA was changed")
	}
	if shown := o.does([]string{"show"}); shown != out {
		t.Errorf("shown:\n%s\nwhen it was made:\n%s", shown, out)
	}
	// A key that is lost, or another's, is told.
	if err := os.Remove(o.path("ca.key")); err != nil {
		t.Fatal(err)
	}
	o.does([]string{"show"}, "NOT USABLE", "there is no key")
	o.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ca.key")
	o.does([]string{"show"}, "NOT USABLE", "the key does not belong to")
}

// A make that was killed between key and certificate is gone on with.
func TestMakeRootAgain(t *testing.T) {
	t.Parallel()
	o := newOperator(t, map[string]any{"keyFile": true})
	args := []string{"make", "-provider", "corp", "-cn", "Dev Root"}
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

// TestIntermediate: the CSR goes to OpenSSL, which is the CA above, and the chain
// comes back; later the CA is renewed.
func TestIntermediate(t *testing.T) {
	t.Parallel()
	o := newOperator(t, map[string]any{"keyFile": true})
	o.refuses([]string{"make", "-provider", "corp", "-request", "-cn", "a", "-years", "3"}, "-years cannot be combined with -request")
	csr := o.does([]string{"make", "-provider", "corp", "-request", "-cn", "Issuing CA", "-key", "P-256"})
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
	o.does([]string{"import", "-provider", "corp", "-chain", o.path("bundle.pem")}, "CN=Issuing CA\n", "issued by CN=Root\n", "ECDSA on P-256, in the file")
	first := o.chain()
	if len(first) != 2 {
		t.Errorf("%d certificates in the chain", len(first))
	}
	if info, err := os.Stat(o.path("chain.pem")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the chain's file: %v, %v", info, err)
	}
	issue("200")
	o.does([]string{"import", "-provider", "corp", "-chain", o.path("bundle.pem")})
	if second := o.chain(); !second[0].NotAfter.After(first[0].NotAfter) || !bytes.Equal(second[0].SubjectKeyId, first[0].SubjectKeyId) {
		t.Error("the CA was not renewed")
	}
	// Another CA does not take its place.
	o.refuses([]string{"import", "-provider", "corp", "-chain", o.path("root.pem"), "-key", o.path("root.key")}, `is the CA "CN=Issuing CA", which has another key`)
}

func TestImportCA(t *testing.T) {
	t.Parallel()
	made := newOperator(t, map[string]any{"keyFile": true})
	made.does([]string{"make", "-provider", "corp", "-cn", "Old Root", "-key", "RSA-2048"})
	chain, key := made.path("chain.pem"), made.path("ca.key")

	o := newOperator(t, map[string]any{"keyFile": true})
	o.refuses([]string{"import", "-provider", "corp", "-chain", chain}, "the CA's key is not in the file", "give it with -key")
	o.refuses([]string{"import", "-provider", "corp", "-chain", key, "-key", key}, "0 certificates")
	o.refuses([]string{"import", "-provider", "corp", "-chain", o.path("nowhere"), "-key", key}, "no such file")
	o.refuses([]string{"import", "-provider", "corp", "-chain", chain, "-key", chain}, "there is no private key in PEM")
	o.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "other.key")
	o.refuses([]string{"import", "-provider", "corp", "-chain", chain, "-key", o.path("other.key")}, "the key does not belong to")
	for _, file := range []string{"chain.pem", "ca.key"} {
		if _, err := os.Stat(o.path(file)); err == nil {
			t.Errorf("%s was written", file)
		}
	}
	out, err := o.run(string(made.read("ca.key")), "import", "-provider", "corp", "-chain", chain, "-key", "-")
	if err != nil || !strings.Contains(out, "RSA of 2048 bits, in the file "+o.path("ca.key")+"\n") {
		t.Errorf("from standard input: %v\n%s", err, out)
	}
	if block, _ := pem.Decode(o.read("ca.key")); block == nil || strings.Contains(out, base64.StdEncoding.EncodeToString(block.Bytes[:48])) {
		t.Error("the key is not stored, or is printed")
	}
	// A second time, with the key or without, is not an error.
	o.does([]string{"import", "-provider", "corp", "-chain", chain, "-key", key})
	o.does([]string{"import", "-provider", "corp", "-chain", chain})
}

func TestCommandsOfCA(t *testing.T) {
	t.Parallel()
	o := newOperator(t, map[string]any{"keyFile": true})
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}} {
		o.does(args, "make ", "import ", "show ", "CERTWRIGHT_PROVIDERS")
	}
	for command, flag := range map[string]string{"make": "-request", "import": "-chain", "show": "-provider"} {
		o.does([]string{command, "-h"}, "handler ca "+command, flag)
	}
	o.refuses([]string{"revoke"}, `unknown command "revoke": there are import, make, show`)
	o.refuses([]string{"show", "corp"}, `unexpected argument "corp"`)
	o.refuses([]string{"make", "-size", "1"}, "not defined: -size")
	o.refuses([]string{"make", "-ips", "10.0.0.0"}, "10.0.0.0")
	o.refuses([]string{"make", "-cn", "a"}, "-provider")
	o.refuses([]string{"make", "-provider", "portal", "-cn", "a"}, `no private CA "portal"`, "corp")
	o.refuses([]string{"show"}, `provider "corp": reading the chain`)
	with := o.settings["CERTWRIGHT_PROVIDERS"]
	o.settings["CERTWRIGHT_PROVIDERS"] = ""
	o.refuses([]string{"show"}, "no private CA in CERTWRIGHT_PROVIDERS: name one there")
	o.settings["CERTWRIGHT_PROVIDERS"], o.settings["CERTWRIGHT_KEK_FILE"] = with, ""
	o.refuses([]string{"show"}, "CERTWRIGHT_KEK_ID")
	// A key in a file is for development, here as in the app.
	maps.Copy(o.settings, settingstest.Production)
	o.settings["CERTWRIGHT_STORAGE_CONNECTION_STRING"] = ""
	o.refuses([]string{"make", "-provider", "corp", "-cn", "a"}, "a CA's key in a file is for development")
}
