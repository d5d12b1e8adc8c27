package names_test

// Which names are permitted, by kind, against crypto/x509.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/names"
)

// permitted reads a configuration as the server does.
func permitted(t testing.TB, text string) *names.Permitted {
	t.Helper()
	p := new(names.Permitted)
	if err := json.Unmarshal([]byte(text), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCheck(t *testing.T) {
	t.Parallel()
	checker, err := names.NewChecker(permitted(t, `{
		"dns":    ["Contoso.com", "xn--mnchen-3ya.example", ".below.example"],
		"emails": ["contoso.com", ".staff.contoso.com", "bob@fabrikam.com"],
		"uris":   ["contoso.com", ".apps.contoso.com"],
		"upns":   ["corp.contoso.com"],
		"ips":    ["10.1.2.3/16", "fd00::/8", "192.0.2.1/32"]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		kind    names.Kind
		name    string
		refused string // part of the reason; empty: it is permitted
	}{
		{names.DNS, "contoso.com", ""},
		{names.DNS, "CONTOSO.COM", ""},
		{names.DNS, "a.b.contoso.com", ""},
		{names.DNS, "*.contoso.com", ""},
		{names.DNS, "_dmarc.contoso.com", ""},
		{names.DNS, "www.xn--mnchen-3ya.example", ""},
		{names.DNS, "XN--MNCHEN-3YA.example", ""},
		{names.DNS, "a.below.example", ""},
		{names.DNS, "below.example", "not permitted"},
		{names.DNS, "contoso.com.evil.example", `"contoso.com.evil.example" is not permitted`},
		{names.DNS, "evilcontoso.com", "not permitted"},
		{names.DNS, "*.com", "not permitted"},
		{names.DNS, "com", "not permitted"},
		{names.DNS, "xn--mnchen-3yb.example", "not permitted"},
		{names.DNS, "www.contoso.com.", "contoso.com."}, // no certificate may have it
		{names.Email, "ada@contoso.com", ""},
		{names.Email, "ada@CONTOSO.com", ""},
		{names.Email, "ada@a.staff.contoso.com", ""},
		{names.Email, "bob@fabrikam.com", ""},
		{names.Email, "ada@staff.contoso.com", "not permitted"},
		{names.Email, "ada@sub.contoso.com", "not permitted"},
		{names.Email, "ada@fabrikam.com", `"ada@fabrikam.com" is not permitted`},
		{names.Email, "ada@staff.contoso.com.evil.example", "not permitted"},
		{names.Email, "bob@FABRIKAM.com", ""},
		{names.Email, "Bob@fabrikam.com", "not permitted"}, // local parts have case
		{names.Email, `"a@contoso.com"@fabrikam.com`, "not permitted"},
		{names.UPN, "ada@corp.contoso.com", ""},
		{names.UPN, "ada@CORP.contoso.com", ""},
		{names.UPN, "ada@contoso.com", `"ada@contoso.com" is not permitted`},
		{names.UPN, "ada@corp.contoso.com@fabrikam.com", "not permitted"},
		{names.UPN, "corp.contoso.com", "not permitted"},
		{names.UPN, "ada@corp.contoſo.com", "not permitted"}, // folds to s
		{names.URI, "https://contoso.com/x", ""},
		{names.URI, "spiffe://a.apps.contoso.com:8443/x", ""},
		{names.URI, "https://apps.contoso.com/x", "not permitted"},
		{names.URI, "https://www.contoso.com/x", "not permitted"},
		{names.URI, "https://contoso.com@fabrikam.com/", "not permitted"},
		{names.URI, "https://10.1.0.1/", "cannot be matched"},
		{names.URI, "https://[fd00::1]/", "cannot be matched"},
		{names.URI, "urn:contoso:x", "cannot be matched"},
		{names.IP, "10.1.255.255", ""},
		{names.IP, "192.0.2.1", ""},
		{names.IP, "fd12::1", ""},
		{names.IP, "10.2.0.1", `"10.2.0.1" is not permitted`},
		{names.IP, "192.0.2.2", "not permitted"},
		{names.IP, "2001:db8::1", "not permitted"},
		{names.IP, "::", "not permitted"},
		{names.IP, "::ffff:10.1.0.1", "in the form of IPv6"},
	} {
		s, err := parse(test.kind, test.name)
		if err == nil {
			err = checker.Check(s)
		}
		refusal, refused := errors.AsType[*names.Refusal](err)
		switch {
		case test.refused == "" && err != nil, test.refused != "" && !refused:
			t.Errorf("%s %q: %v", test.kind, test.name, err)
		case refused && (refusal.Kind != test.kind || !strings.Contains(refusal.Why, test.refused)):
			t.Errorf("%s %q: %s: %s, want %s", test.kind, test.name, refusal.Kind, refusal.Why, test.refused)
		}
	}
}

// parse reads one name.
func parse(kind names.Kind, name string) (names.Set, error) {
	list := func(k names.Kind) []string {
		if k == kind {
			return []string{name}
		}
		return nil
	}
	return names.Parse(list(names.DNS), list(names.Email), list(names.UPN), list(names.URI), list(names.IP))
}

// One name among many that is not permitted is enough.
func TestEveryNameCounts(t *testing.T) {
	t.Parallel()
	checker, err := names.NewChecker(permitted(t, `{"dns": ["contoso.com"], "upns": ["contoso.com"]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []names.Set{
		{DNS: []string{"contoso.com", "fabrikam.com", "a.contoso.com"}},
		{UPNs: []string{"a@contoso.com", "a@fabrikam.com"}},
		{DNS: []string{"contoso.com"}, UPNs: []string{"a@contoso.com"}, IPs: []net.IP{{10, 0, 0, 1}}},
	} {
		if err := checker.Check(s); err == nil {
			t.Errorf("%v is permitted", s)
		}
	}
}

// Kinds without an entry are not certified at all; without limits all are.
func TestKindsWithoutEntries(t *testing.T) {
	t.Parallel()
	none, err := names.NewChecker(new(names.Permitted), nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := names.NewChecker(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for kind, name := range map[names.Kind]string{
		names.DNS: "a.com", names.Email: "a@a.com", names.UPN: "a@a.com", names.URI: "urn:a:b", names.IP: "10.0.0.1",
	} {
		s, err := parse(kind, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := all.Check(s); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		refusal, refused := errors.AsType[*names.Refusal](none.Check(s))
		if !refused || refusal.Kind != kind || !strings.Contains(refusal.Why, `"`+name+`" is not permitted: no name of this kind is`) {
			t.Errorf("%s: %v", kind, refusal)
		}
	}
	if err := none.Check(names.Set{}); err != nil {
		t.Errorf("no names at all: %v", err)
	}
}

func TestPermittedIsChecked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"dns": [""]}`:                    "names no domain",
		`{"dns": ["."]}`:                   "names no domain",
		`{"dns": ["a.com", "*.b.com"]}`:    `names: dns: "*.b.com" has a wildcard`,
		`{"dns": ["a.com."]}`:              "ends with a dot",
		`{"dns": ["münchen.example"]}`:     "xn--",
		`{"dns": ["a..com"]}`:              `the label ""`,
		`{"dns": ["a b"]}`:                 `the label "a b"`,
		`{"uris": ["https://a.com"]}`:      `names: uris: "https://a.com" is not a domain`,
		`{"emails": ["@a.com"]}`:           "nothing before the @",
		`{"emails": ["a@"]}`:               "not a mailbox",
		`{"emails": ["a@.b.com"]}`:         "not a mailbox",
		`{"emails": ["a@*.com"]}`:          "wildcard",
		`{"upns": [""]}`:                   "user principal names",
		`{"upns": [".b.com"]}`:             "user principal names",
		`{"upns": ["a@b.com"]}`:            "user principal names",
		`{"ips": ["::ffff:10.0.0.0/104"]}`: "in the form of IPv6",
	} {
		p := permitted(t, text)
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
		if _, err := names.NewChecker(p, nil); err == nil {
			t.Errorf("%s: a Checker was made", text)
		}
	}
}

// Programs take common names for those of hosts, and mailboxes in subjects for
// mailboxes.
func TestOfSubject(t *testing.T) {
	t.Parallel()
	text := func(s names.Set) string {
		parts := append(append([]string{}, s.DNS...), s.Emails...)
		for _, ip := range s.IPs {
			parts = append(parts, ip.String())
		}
		return strings.Join(append(append(parts, s.UPNs...), "."), " ")
	}
	email := []int{1, 2, 840, 113549, 1, 9, 1}
	for cn, want := range map[string]string{
		"www.contoso.com": "www.contoso.com .", "*.contoso.com.": "*.contoso.com .", "w*.contoso.com\x00": "w*.contoso.com .",
		"server": ".", "Ada Lovelace": ".", "Contoso Inc. Service": ".", "10.0.0.1": "10.0.0.1 .", "::ffff:10.0.0.1": "10.0.0.1 .",
		"fd00::1": "fd00::1 .", "fe80::1%eth0": ".", "": ".",
	} {
		s := names.OfSubject(pkix.Name{Names: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: cn}, {Type: []int{2, 5, 4, 10}, Value: "a.org"}}})
		if got := text(s); got != want {
			t.Errorf("%q: %s, want %s", cn, got, want)
		}
	}
	for value, want := range map[any]string{"ada@contoso.com": "ada@contoso.com .", "ada": ".", 1: "."} {
		s := names.OfSubject(pkix.Name{Names: []pkix.AttributeTypeAndValue{{Type: email, Value: value}}})
		if got := text(s); got != want {
			t.Errorf("%v: %s, want %s", value, got, want)
		}
	}
}

// Of a certificate every name is read, or it is refused.
func TestOfCertificate(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	read := func(san string) (names.Set, error) {
		template := &x509.Certificate{
			SerialNumber:    big.NewInt(1),
			Subject:         pkix.Name{CommonName: "cn.contoso.com"},
			ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 17}, Value: []byte(san)}},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return names.OfCertificate(c)
	}
	s, err := read("\x30\x24" + "\x82\x01a" + "\xa0\x14\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x06\x0c\x04a@bc" + "\x81\x03a@b" + "\x87\x04\x0a\x00\x00\x01")
	if err != nil || strings.Join(s.DNS, " ") != "a cn.contoso.com" || strings.Join(s.UPNs, " ") != "a@bc" || len(s.Emails) != 1 || len(s.IPs) != 1 {
		t.Errorf("%v, %v", s, err)
	}
	for what, san := range map[string]string{
		"a directory name":             "\x30\x04\xa4\x02\x30\x00",
		"a registered id":              "\x30\x03\x88\x01\x2a",
		"more than a sequence":         "\x30\x03\x82\x01a\x05\x00",
		"more than a UPN":              "\x30\x18\xa0\x16\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x06\x0c\x04a@bc\x05\x00",
		"another otherName":            "\x30\x0c\xa0\x0a\x06\x03\x2b\x06\x01\xa0\x03\x0c\x01a",
		"an IPv4 address mapped to v6": "\x30\x12\x87\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x01",
	} {
		if s, err := read(san); err == nil {
			t.Errorf("%s is taken: %v", what, s)
		}
	}
}
