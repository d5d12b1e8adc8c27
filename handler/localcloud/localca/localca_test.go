package localca_test

// The local authority: its names, its files, its end.

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/localcloud/localca"
	"github.com/certwright/certwright/handler/localcloud/state"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func open(t *testing.T, folder state.Folder, at time.Time) *localca.Authority {
	t.Helper()
	a, err := localca.Open(folder, at)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func pool(a *localca.Authority) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.Certificate())
	return p
}

func TestLeafServesItsNamesOnly(t *testing.T) {
	t.Parallel()
	a := open(t, state.Folder(t.TempDir()), now)
	leaf, err := a.Leaf(now)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"localhost":               true,
		"127.0.0.1":               true,
		"::1":                     true,
		"myvault.vault.azure.net": true,
		"vault.azure.net":         false,
		"a.b.vault.azure.net":     false,
		"example.com":             false,
		"127.0.0.2":               false,
	} {
		_, err := leaf.Leaf.Verify(x509.VerifyOptions{
			DNSName: name, Roots: pool(a), CurrentTime: now.Add(29 * day),
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if (err == nil) != want {
			t.Errorf("verifying the leaf for %q: %v, want success %t", name, err, want)
		}
	}
	if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: pool(a), CurrentTime: now.Add(31 * day)}); err == nil {
		t.Error("the leaf is valid after 31 days")
	}
}

// Whoever holds the authority's key cannot use it against other names.
func TestNameConstraintsBindTheKey(t *testing.T) {
	t.Parallel()
	folder := state.Folder(t.TempDir())
	a := open(t, folder, now)
	pair, err := tls.LoadX509KeyPair(folder.Path("ca", "authority.pem"), folder.Path("ca", "authority.key"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := url.Parse("https://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	base := x509.Certificate{NotBefore: now, NotAfter: now.Add(day)}
	for name, with := range map[string]func(*x509.Certificate){
		"foreign DNS name": func(c *x509.Certificate) { c.DNSNames = []string{"login.microsoftonline.com"} },
		"suffix look-alike": func(c *x509.Certificate) {
			c.DNSNames = []string{"evilvault.azure.net"}
		},
		"one of several":  func(c *x509.Certificate) { c.DNSNames = []string{"localhost", "example.com"} },
		"foreign address": func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1)} },
		"mail address":    func(c *x509.Certificate) { c.EmailAddresses = []string{"root@example.com"} },
		"URI":             func(c *x509.Certificate) { c.URIs = []*url.URL{other} },
	} {
		template := base
		with(&template)
		der, err := x509.CreateCertificate(rand.Reader, &template, a.Certificate(), a.Certificate().PublicKey, pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		_, err = leaf.Verify(x509.VerifyOptions{
			Roots: pool(a), CurrentTime: now.Add(time.Hour),
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil {
			t.Errorf("%s: a certificate beyond the constraints verifies", name)
		}
	}
	critical := false
	for _, extension := range a.Certificate().Extensions {
		if extension.Id.String() == "2.5.29.30" {
			critical = extension.Critical
		}
	}
	if !critical {
		t.Error("the name constraints are not critical")
	}
}

func TestAuthorityIsKeptUntilNearItsEnd(t *testing.T) {
	t.Parallel()
	folder := state.Folder(t.TempDir())
	first := open(t, folder, now).Certificate()
	if again := open(t, folder, now.Add(19*day)).Certificate(); !again.Equal(first) {
		t.Error("the authority changed while it had 11 days left")
	}
	renewed := open(t, folder, now.Add(21*day)).Certificate()
	if renewed.Equal(first) {
		t.Error("the authority was kept with 9 days left")
	}
	if want := now.Add(51 * day); !renewed.NotAfter.Equal(want) {
		t.Errorf("the renewed authority ends %v, want %v", renewed.NotAfter, want)
	}
	for _, name := range []string{"authority.pem", "authority.key"} {
		info, err := os.Stat(folder.Path("ca", name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", name, info.Mode().Perm())
		}
	}
}

// TestCertificateFileHasNoKey: what people put into trust stores is a certificate
// and nothing else.
func TestCertificateFileHasNoKey(t *testing.T) {
	t.Parallel()
	folder := state.Folder(t.TempDir())
	a := open(t, folder, now)
	text, err := os.ReadFile(folder.Path("ca", "authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 || !bytes.Equal(block.Bytes, a.Certificate().Raw) {
		t.Errorf("the file is %s", text)
	}
}

// TestAuthorityWithoutItsKey: a key that is missing, is another's or stands in the
// certificate's file, as it did once, has the authority made anew.
func TestAuthorityWithoutItsKey(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, folder state.Folder){
		"missing": func(t *testing.T, folder state.Folder) {
			if err := os.Remove(folder.Path("ca", "authority.key")); err != nil {
				t.Fatal(err)
			}
		},
		"another's": func(t *testing.T, folder state.Folder) {
			other := state.Folder(t.TempDir())
			open(t, other, now)
			key, err := os.ReadFile(other.Path("ca", "authority.key"))
			if err != nil {
				t.Fatal(err)
			}
			if err := folder.Write("ca/authority.key", key); err != nil {
				t.Fatal(err)
			}
		},
		"in the certificate's file": func(t *testing.T, folder state.Folder) {
			var both []byte
			for _, name := range []string{"authority.key", "authority.pem"} {
				text, err := os.ReadFile(folder.Path("ca", name))
				if err != nil {
					t.Fatal(err)
				}
				both = append(both, text...)
			}
			if err := folder.Write("ca/authority.pem", both); err != nil {
				t.Fatal(err)
			}
		},
	} {
		folder := state.Folder(t.TempDir())
		first := open(t, folder, now)
		damage(t, folder)
		second := open(t, folder, now)
		if second.Certificate().Equal(first.Certificate()) {
			t.Errorf("%s: the authority was kept", name)
		}
		if third := open(t, folder, now); !third.Certificate().Equal(second.Certificate()) {
			t.Errorf("%s: the new authority was not kept", name)
		}
	}
}

func TestDamagedFileIsNamed(t *testing.T) {
	t.Parallel()
	folder := state.Folder(t.TempDir())
	if err := folder.Write("ca/authority.pem", []byte("not PEM")); err != nil {
		t.Fatal(err)
	}
	if _, err := localca.Open(folder, now); err == nil || !strings.Contains(err.Error(), "authority.pem") {
		t.Errorf("opening a damaged authority: %v, want an error that names the file", err)
	}
}

func TestBundleHoldsRootsAndAuthority(t *testing.T) {
	t.Parallel()
	folder := state.Folder(t.TempDir())
	a := open(t, folder, now)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, []byte("# the system's\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := a.WriteBundle(folder, roots)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(bundle), "# the system's\n-----BEGIN CERTIFICATE-----\n") {
		t.Errorf("the bundle begins with %.60q, want the roots, then the authority", bundle)
	}
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(bundle)
	if leaf, err := a.Leaf(now); err != nil {
		t.Error(err)
	} else if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: p, CurrentTime: now}); err != nil {
		t.Errorf("verifying the leaf by the bundle: %v", err)
	}
	// In a shell with the local cloud's settings the bundle itself is chosen. A
	// renewed authority takes the old one's place, and the roots stay.
	renewed := open(t, folder, now.Add(25*day))
	if _, err := renewed.WriteBundle(folder, path); err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(again), "# the system's\n") || strings.Count(string(again), "BEGIN CERTIFICATE") != 1 {
		t.Errorf("the rewritten bundle is %q, want the roots and one authority", again)
	}
	if string(again) == string(bundle) {
		t.Error("the rewritten bundle holds the old authority")
	}
}
