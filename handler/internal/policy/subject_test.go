package policy_test

// Subjects as text, and back.

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/policy"
)

// stringTypes are how the tests write ASN.1 string types.
var stringTypes = map[int]string{
	asn1.TagPrintableString: "printable",
	asn1.TagUTF8String:      "utf8",
	asn1.TagIA5String:       "ia5",
}

// rdns spells out the DER of a Name: "oid type text", attributes of one RDN
// joined by " + ".
func rdns(t rapid.TB, der []byte) []string {
	t.Helper()
	list := []string{}
	for _, rdn := range parseRDNs(t, der) {
		var parts []string
		for _, a := range rdn {
			text, ok := policy.DecodeString(a.Value.FullBytes)
			if !ok {
				t.Fatalf("attribute %s holds no string: %x", a.Type, a.Value.FullBytes)
			}
			parts = append(parts, fmt.Sprintf("%s %s %s", a.Type, stringTypes[a.Value.Tag], text))
		}
		list = append(list, strings.Join(parts, " + "))
	}
	return list
}

func parseRDNs(t rapid.TB, der []byte) []policy.RDNSet {
	t.Helper()
	var name []policy.RDNSet
	if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) != 0 {
		t.Fatalf("name %x: %v, %d bytes left", der, err, len(rest))
	}
	return name
}

func TestParseSubject(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in    string
		want  []string
		print string // "" when the same as in
	}{
		{"", []string{}, ""},
		{"   ", []string{}, " "},
		{"CN=DefaultPolicy", []string{"2.5.4.3 printable DefaultPolicy"}, ""},
		{"CN=*.example.com", []string{"2.5.4.3 utf8 *.example.com"}, ""},
		{"CN=a_b@c&d", []string{"2.5.4.3 utf8 a_b@c&d"}, ""},
		{"cn = Müller ; o=x", []string{"2.5.4.3 utf8 Müller", "2.5.4.10 printable x"}, "CN=Müller, O=x"},
		{
			"C=US, S=WA, L=Redmond, O=Contoso, OU=Azure, CN=www.contoso.com, E=admin@contoso.com",
			[]string{
				"2.5.4.6 printable US", "2.5.4.8 printable WA", "2.5.4.7 printable Redmond", "2.5.4.10 printable Contoso",
				"2.5.4.11 printable Azure", "2.5.4.3 printable www.contoso.com", "1.2.840.113549.1.9.1 ia5 admin@contoso.com",
			}, "",
		},
		{
			"ST=Bern,STREET=Way 1,POSTALCODE=3000,serialnumber=CHE-1,DC=corp,UID=u1,T=Dr,G=Ada,I=A. B.,SN=King",
			[]string{
				"2.5.4.8 printable Bern", "2.5.4.9 printable Way 1", "2.5.4.17 printable 3000", "2.5.4.5 printable CHE-1",
				"0.9.2342.19200300.100.1.25 ia5 corp", "0.9.2342.19200300.100.1.1 printable u1", "2.5.4.12 printable Dr",
				"2.5.4.42 printable Ada", "2.5.4.43 printable A. B.", "2.5.4.4 printable King",
			},
			"S=Bern, STREET=Way 1, PostalCode=3000, SERIALNUMBER=CHE-1, DC=corp, UID=u1, T=Dr, G=Ada, I=A. B., SN=King",
		},
		{"EMAIL=a@b,EMAILADDRESS=c@d", []string{"1.2.840.113549.1.9.1 ia5 a@b", "1.2.840.113549.1.9.1 ia5 c@d"}, "E=a@b, E=c@d"},
		{
			"jurisdictionC=DE,jurisdictionST=Hessen,jurisdictionL=Fulda",
			[]string{
				"1.3.6.1.4.1.311.60.2.1.3 printable DE", "1.3.6.1.4.1.311.60.2.1.2 printable Hessen", "1.3.6.1.4.1.311.60.2.1.1 printable Fulda",
			},
			"jurisdictionC=DE, jurisdictionST=Hessen, jurisdictionL=Fulda",
		},
		{"OID.2.5.4.3=a,2.5.4.10=b,oid.1.2.3=c", []string{"2.5.4.3 printable a", "2.5.4.10 printable b", "1.2.3 printable c"}, "CN=a, O=b, OID.1.2.3=c"},
		{"OID.2.999.2147483647=é", []string{"2.999.2147483647 utf8 é"}, ""},
		{`O="Contoso, Ltd."`, []string{"2.5.4.10 printable Contoso, Ltd."}, ""},
		{`O=Contoso\, Ltd.`, []string{"2.5.4.10 printable Contoso, Ltd."}, `O="Contoso, Ltd."`},
		{`O="say ""hi""" , CN=x`, []string{`2.5.4.10 utf8 say "hi"`, "2.5.4.3 printable x"}, `O="say ""hi""", CN=x`},
		{`O="say \"hi\""`, []string{`2.5.4.10 utf8 say "hi"`}, `O="say ""hi"""`},
		{`O=\ a\ \ `, []string{"2.5.4.10 printable  a  "}, `O=" a  "`},
		{`O="  a "`, []string{"2.5.4.10 printable   a "}, ""},
		{`O=a   , CN=b  c  `, []string{"2.5.4.10 printable a", "2.5.4.3 printable b  c"}, "O=a, CN=b  c"},
		{`CN=Lu\C4\8Di\C4\87`, []string{"2.5.4.3 utf8 Lučić"}, "CN=Lučić"},
		{`CN=a=b<c>`, []string{"2.5.4.3 utf8 a=b<c>"}, `CN="a=b<c>"`},
		{`CN=CORP\\ada`, []string{`2.5.4.3 utf8 CORP\ada`}, ""},
		{`CN="CORP\\ada, x"`, []string{`2.5.4.3 utf8 CORP\ada, x`}, ""},
		{`CN=\#1,O="#2"`, []string{"2.5.4.3 utf8 #1", "2.5.4.10 utf8 #2"}, `CN="#1", O="#2"`},
		// The example of RFC 4514 section 4; #04024869 there is an OCTET STRING.
		{"CN=James \\\"Jim\\\" Smith\\, III,DC=example,DC=net", []string{
			`2.5.4.3 utf8 James "Jim" Smith, III`, "0.9.2342.19200300.100.1.25 ia5 example", "0.9.2342.19200300.100.1.25 ia5 net",
		}, `CN="James ""Jim"" Smith, III", DC=example, DC=net`},
		{"1.2.3=#0c024869 ,CN=#130141", []string{"1.2.3 printable Hi", "2.5.4.3 printable A"}, "OID.1.2.3=Hi, CN=A"},
		{"O=x,OU=Sales+CN=J. Smith;C=US", []string{"2.5.4.10 printable x", "2.5.4.11 printable Sales + 2.5.4.3 printable J. Smith", "2.5.4.6 printable US"},
			"O=x, OU=Sales + CN=J. Smith, C=US"},
	} {
		der, err := policy.ParseSubject(c.in)
		if err != nil {
			t.Errorf("parseSubject(%q): %v", c.in, err)
			continue
		}
		// want is in the written order, and the last that is written is encoded first.
		got := rdns(t, der)
		slices.Reverse(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("parseSubject(%q), from the last RDN to the first (-want +got):\n%s", c.in, diff)
		}
		want := strings.TrimSpace(c.print)
		if c.print == "" {
			want = c.in
		}
		if got, err := policy.FormatSubject(der); err != nil || got != want {
			t.Errorf("formatSubject of %q = %q, %v, want %q", c.in, got, err, want)
		}
	}
}

func TestParseSubjectLimits(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"CN=" + strings.Repeat("ü", 510), // maxSubject bytes
		"CN=" + strings.Repeat("a", 65),  // more than X.520 has
		"O=" + strings.Repeat("a", 512),
		"1.2.3=" + strings.Repeat("a", 512),
		"2.2147483567=a",
		strings.Repeat("DC=a,", 204) + "DC=a", // maxSubject bytes
	} {
		if _, err := policy.ParseSubject(in); err != nil {
			t.Errorf("parseSubject(%q): %v", in, err)
		}
	}
}

// Each keyword leads to its own type, and the printed one leads back.
func TestAttributeKeywords(t *testing.T) {
	t.Parallel()
	seen := map[string]asn1.ObjectIdentifier{}
	for _, at := range policy.AttributeTypes() {
		text := "ab"
		for _, keyword := range at.Keywords {
			upper := strings.ToUpper(keyword)
			if other, ok := seen[upper]; ok {
				t.Errorf("keyword %s belongs to %s and %s", keyword, other, at.OID)
			}
			seen[upper] = at.OID
			for _, spelling := range []string{keyword, upper, strings.ToLower(keyword)} {
				der, err := policy.ParseSubject(spelling + "=" + text)
				if err != nil {
					t.Errorf("%s: %v", spelling, err)
					continue
				}
				if got := rdns(t, der)[0]; !strings.HasPrefix(got, at.OID.String()+" ") {
					t.Errorf("%s leads to %s, want %s", spelling, got, at.OID)
				}
				printed, _ := policy.FormatSubject(der)
				if want := at.Printed + "=" + text; printed != want {
					t.Errorf("%s is printed as %s, want %s", spelling, printed, want)
				}
			}
		}
	}
}

func TestParseSubjectRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"a",
		"=a",
		"CN",
		"CN=",
		`CN=""`,
		"CN=a,",
		"CN=a+",
		",CN=a",
		"CN=a,,O=b",
		"NOSUCH=a",
		"CN=a,b",
		"1=a",
		"3.1=a",
		"1.40=a",
		"1.02=a",
		"1.2.2147483648=a",
		"2.2147483568=a",
		"OID.=a",
		"1.2." + strings.Repeat("3.", 40) + "4=a",
		`CN=a\`,
		`CN=a\z`,
		`CN=CORP\user`,
		`CN="a`,
		`CN="a\z"`,
		`CN="a" b`,
		`CN=a"b"`,
		`CN=\ff`,
		"CN=\xff",
		"CN=a\tb",
		`CN=a\00b`,
		"CN=#",
		"CN=#xx",
		"CN=#0500",
		"CN=#04024869",
		"CN=#0c0148ff",
		"CN=#0c01",
		"CN=#0c01ff",
		"CN=#0c00",
		"CN=a+CN=b",
		"CN=a+OU=b+2.5.4.3=c",
		"C=USA",
		"C=U1",
		"C=Ü",
		"SERIALNUMBER=a_b",
		"DC=ü",
		"E=ü@example.com",
		"CN=" + strings.Repeat("a", 513),
		"CN=" + strings.Repeat("ü", 513),
		"1.2.3=" + strings.Repeat("a", 513),
		strings.Repeat("DC=a,", 204) + "DC=ab", // a byte more than is allowed
	} {
		if der, err := policy.ParseSubject(in); err == nil {
			t.Errorf("parseSubject(%q) = %q, want an error", in, rdns(t, der))
		}
	}
}

func TestFormatSubjectOfOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ der, want string }{
		// UTF8String where parseSubject would choose PrintableString, as OpenSSL does.
		{"\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01a", "CN=a"},
		{"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x04\x02Hi", "CN=#04024869"},
		{"\x30\x0b\x31\x09\x30\x07\x06\x03\x55\x04\x03\x0c\x00", `CN=""`},
	} {
		if got, err := policy.FormatSubject([]byte(c.der)); err != nil || got != c.want {
			t.Errorf("formatSubject(%x) = %q, %v, want %q", c.der, got, err, c.want)
		}
	}
	for _, der := range []string{"", "\x30", "\x31\x00", "\x30\x00\x00", "\x30\x02\x05\x00"} {
		if got, err := policy.FormatSubject([]byte(der)); err == nil {
			t.Errorf("formatSubject(%x) = %q, want an error", der, got)
		}
	}
}

// checkSubject holds for every string: what parses is a name that crypto/x509
// reads the same way, and printing it and parsing that gives the same DER.
func checkSubject(t rapid.TB, in string) {
	der, err := policy.ParseSubject(in)
	if err != nil {
		return
	}
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) != 0 {
		t.Fatalf("%q: crypto/x509 does not read %x: %v", in, der, err)
	}
	var theirs []string
	for _, rdn := range name {
		for _, a := range rdn {
			theirs = append(theirs, fmt.Sprintf("%s %s", a.Type, a.Value))
		}
	}
	var ours []string
	for _, rdn := range parseRDNs(t, der) {
		for _, a := range rdn {
			text, _ := policy.DecodeString(a.Value.FullBytes)
			ours = append(ours, fmt.Sprintf("%s %s", a.Type, text))
		}
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Fatalf("%q is read differently (-crypto/x509 +ours):\n%s", in, diff)
	}
	printed, err := policy.FormatSubject(der)
	if err != nil {
		t.Fatalf("%q: formatSubject: %v", in, err)
	}
	if len(printed) > policy.MaxSubject {
		return
	}
	again, err := policy.ParseSubject(printed)
	if err != nil {
		t.Fatalf("%q is printed as %q, which does not parse: %v", in, printed, err)
	}
	if !bytes.Equal(der, again) {
		t.Fatalf("%q is printed as %q, which is another name:\n%x\n%x", in, printed, der, again)
	}
}

func TestSubjectRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		checkSubject(t, subjects().Draw(t, "subject"))
	})
}

// subjects generates subjects in all forms of the syntax; nearly all are valid.
func subjects() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		keys := rapid.SampledFrom([]string{"CN", "o", "OU", "L", "st", "T", "G", "Description", "OID.1.2.3", "2.5.4.65"})
		texts := rapid.StringOfN(rapid.SampledFrom([]rune(`abcXYZ019 .-_,;+="\\#<>é漢`)), 1, 20, 40)
		var b strings.Builder
		for i := range rapid.IntRange(1, 6).Draw(t, "attributes") {
			if i > 0 {
				b.WriteString(rapid.SampledFrom([]string{",", ", ", ";", " ; ", "+", " + "}).Draw(t, "separator"))
			}
			text := texts.Draw(t, "text")
			b.WriteString(keys.Draw(t, "key") + "=")
			switch rapid.IntRange(0, 2).Draw(t, "form") {
			case 0:
				b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `""`).Replace(text) + `"`)
			case 1:
				for _, r := range text {
					if strings.ContainsRune(` "#+,;<=>\`, r) {
						b.WriteByte('\\')
					}
					b.WriteRune(r)
				}
			case 2:
				ber, err := asn1.MarshalWithParams(text, "utf8")
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "#%x", ber)
			}
		}
		return b.String()
	})
}

func FuzzParseSubject(f *testing.F) {
	for _, seed := range []string{
		"", "CN=DefaultPolicy", `O="Contoso, Ltd.";C=US`, `CN=James \"Jim\" Smith\, III,DC=net`,
		"OU=Sales+CN=J.  Smith", "OID.1.2.3=#0c024869", `CN=Lu\C4\8Di\C4\87`, `O="say ""hi"""`, " CN = a , ",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) { checkSubject(t, in) })
}

func TestCommonNames(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string][]string{
		"":                                     nil,
		"O=Contoso, C=US":                      nil,
		"CN=www.contoso.com":                   {"www.contoso.com"},
		"O=Contoso, commonName=\"a, b\", C=US": {"a, b"},
		`2.5.4.3=\C3\A4, CN=b+OU=Web`:          {"ä", "b"},
		"CN=#0C0161":                           {"a"},
	} {
		if diff := cmp.Diff(want, (policy.X509Properties{Subject: subject}).CommonNames()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", subject, diff)
		}
	}
}
