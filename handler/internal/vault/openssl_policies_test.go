package vault_test

// Policies that the comparison with OpenSSL draws.

import (
	"encoding/asn1"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/policy"
)

// askedFor generates policies of Self that are accepted, and knows what the
// vault completes them to.
func askedFor() *rapid.Generator[asked] {
	return rapid.Custom(func(t *rapid.T) asked {
		kind := rapid.SampledFrom([]keyKind{
			{policy.KeyEC, 256, "P-256"}, {policy.KeyEC, 384, "P-384"}, {policy.KeyRSA, 2048, ""},
		}).Draw(t, "key")
		key := policy.KeyProperties{
			Exportable: rapid.Bool().Draw(t, "exportable"),
			Type:       kind.kty, Size: kind.size, Curve: kind.crv,
			Reuse: rapid.Bool().Draw(t, "reuse"),
		}
		keyParams := &policy.KeyParams{Exportable: &key.Exportable, Type: &key.Type, Size: &key.Size, Reuse: &key.Reuse}
		if key.Curve != "" {
			keyParams.Curve = new(rapid.SampledFrom([]string{key.Curve, strings.ToLower(key.Curve)}).Draw(t, "crv"))
		}
		sent, contentType := policy.Params{Key: keyParams, Issuer: &policy.IssuerParams{Name: new(policy.IssuerSelf)}}, policy.ContentPKCS12
		if rapid.Bool().Draw(t, "content type is sent") {
			contentType = rapid.SampledFrom([]string{policy.ContentPEM, policy.ContentPKCS12}).Draw(t, "content type")
			sent.ContentType = &contentType
		}
		subject, rdns := drawSubject(t)
		x := policy.X509Properties{
			Subject:        subject,
			SANs:           drawSANs(t, len(rdns) == 0),
			EKUs:           []string{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"},
			KeyUsage:       []string{"digitalSignature", "keyEncipherment"},
			ValidityMonths: rapid.IntRange(1, 1200).Draw(t, "months"),
			CA:             rapid.Bool().Draw(t, "ca"),
		}
		sent.X509 = &policy.X509Params{Subject: &subject, SANs: x.SANs, ValidityMonths: &x.ValidityMonths, CA: &x.CA}
		if rapid.Bool().Draw(t, "EKUs are sent") {
			x.EKUs = rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(openSSLEKUs))), 0, 4, rapid.ID).Draw(t, "EKUs")
			sent.X509.EKUs = x.EKUs
		}
		if rapid.Bool().Draw(t, "key usages are sent") {
			x.KeyUsage, sent.X509.KeyUsage = drawKeyUsage(t)
		}
		return asked{sent, policy.Policy{
			Key: key, ContentType: contentType, X509: x, Enabled: true,
			LifetimeActions: []policy.LifetimeAction{{Percentage: 80, Action: policy.ActionAutoRenew}},
			Issuer:          policy.IssuerParameters{Name: policy.IssuerSelf},
		}, rdns}
	})
}

// drawKeyUsage draws key usages in any order and case, some of them twice, and
// what is made of them.
func drawKeyUsage(t *rapid.T) (usages, sent []string) {
	usages, sent = []string{}, []string{}
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(openSSLKeyUsages)-1), 0, 6).Draw(t, "key usages") {
		usage := openSSLKeyUsages[i].name
		usages = append(usages, usage)
		sent = append(sent, rapid.SampledFrom([]string{usage, strings.ToUpper(usage)}).Draw(t, "spelling"))
	}
	slices.Sort(usages)
	return slices.Compact(usages), sent
}

// drawSANs draws alternative names of all kinds, at least one when some is
// needed.
func drawSANs(t *rapid.T, needed bool) *policy.SANs {
	list := func(kind string, draw func(*rapid.T) string) (names []string) {
		return append(names, rapid.SliceOfN(rapid.Custom(draw), 0, 2).Draw(t, kind)...) // nil when empty, as it is read back
	}
	host := func(t *rapid.T) string {
		return rapid.StringMatching(`[a-zA-Z0-9_]([a-z0-9-]{0,5}[a-z0-9])?(\.[a-z]{2,6}){1,2}`).Draw(t, "host")
	}
	address := func(size int) func(*rapid.T) string {
		return func(t *rapid.T) string {
			addr, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "address"))
			return addr.String()
		}
	}
	s := &policy.SANs{
		DNSNames: list("DNS names", func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"", "*."}).Draw(t, "wildcard") + host(t)
		}),
		Emails: list("emails", func(t *rapid.T) string {
			return rapid.StringMatching(`[a-z+_'-]{1,10}`).Draw(t, "local part") + "@" + host(t)
		}),
		UPNs: list("UPNs", func(t *rapid.T) string {
			return rapid.StringMatching(`[a-zé漢\\][a-zé漢 .\\]{0,8}@[a-z]{1,8}`).Draw(t, "UPN")
		}),
		URIs: list("URIs", func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"https", "spiffe", "ldap"}).Draw(t, "scheme") + "://" + host(t) +
				rapid.StringMatching(`(:[0-9]{1,4})?(/[a-z0-9._-]{1,5}){0,2}(\?[a-z]=%20)?`).Draw(t, "path")
		}),
		IPAddresses: append(list("IPv4 addresses", address(4)), list("IPv6 addresses", address(16))...),
	}
	if needed && len(s.DNSNames)+len(s.Emails)+len(s.UPNs)+len(s.URIs)+len(s.IPAddresses) == 0 {
		s.DNSNames = []string{host(t)}
	}
	return s
}

// attributes are some that subjects have: how callers and OpenSSL call them, and
// of which characters they are made.
var attributes = []struct{ keyword, short, characters string }{
	{"CN", "CN", directoryCharacters},
	{"o", "O", directoryCharacters},
	{"OU", "OU", directoryCharacters},
	{"L", "L", directoryCharacters},
	{"S", "ST", directoryCharacters},
	{"STREET", "street", directoryCharacters},
	{"T", "title", directoryCharacters},
	{"G", "GN", directoryCharacters},
	{"SN", "SN", directoryCharacters},
	{"PostalCode", "postalCode", directoryCharacters},
	{"SERIALNUMBER", "serialNumber", `abXY09 -.,+=`},
	{"DC", "DC", `abXY09 -_,;+="\#<>`},
	{"E", "emailAddress", `abXY09@._"\+`},
	{"OID.1.2.3", "1.2.3", directoryCharacters},
	{"2.5.4.65", "pseudonym", directoryCharacters},
}

const directoryCharacters = `abXY09 .-_,;+="\#<>é漢`

// drawSubject draws a subject as a caller writes it, and its RDNs as
// subjectLines finds them.
func drawSubject(t *rapid.T) (written string, rdns []string) {
	rdns = []string{}
	var b strings.Builder
	for i := range rapid.IntRange(0, 4).Draw(t, "RDNs") {
		if i > 0 {
			b.WriteString(rapid.SampledFrom([]string{",", ", ", ";", " ; "}).Draw(t, "separator"))
		}
		var rdn []string
		most := rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "most attributes")
		for j, k := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(attributes)-1), 1, most, rapid.ID).Draw(t, "attributes") {
			if j > 0 {
				b.WriteString(rapid.SampledFrom([]string{"+", " + "}).Draw(t, "plus"))
			}
			a := attributes[k]
			text := rapid.StringOfN(rapid.SampledFrom([]rune(a.characters)), 1, 12, -1).Filter(splits).Draw(t, "text")
			b.WriteString(a.keyword + "=" + drawForm(t, text))
			rdn = append(rdn, a.short+"="+text)
		}
		rdns = append(rdns, sortedRDN(strings.Split(strings.Join(rdn, " + "), " + ")))
	}
	slices.Reverse(rdns) // the last that is written is encoded first
	return b.String(), rdns
}

// splits: OpenSSL writes " + " between the attributes of an RDN, and a value that
// ends like it cannot be told from that.
func splits(text string) bool { return !strings.HasSuffix(text, " +") }

// drawForm writes an attribute's value in one of the forms of RFC 4514 or .NET.
func drawForm(t *rapid.T, text string) string {
	switch rapid.SampledFrom([]string{"escaped", "quoted", "hexadecimal"}).Draw(t, "form") {
	case "quoted":
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `""`).Replace(text) + `"`
	case "hexadecimal":
		ber, err := asn1.MarshalWithParams(text, "utf8")
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("#%x", ber)
	}
	var b strings.Builder
	for i, r := range text {
		first, last := i == 0, i == len(text)-1
		if strings.ContainsRune(`",+;<=>\`, r) || r == '#' && first || r == ' ' && (first || last) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
