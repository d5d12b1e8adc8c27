package policy

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/field"
)

// TestUpdateKey: what was sent of a key counts, what was not stays as far as it
// can, and members that were sent and contradict each other are refused.
func TestUpdateKey(t *testing.T) {
	t.Parallel()
	const (
		kty  = "policy.key_props.kty"
		crv  = "policy.key_props.crv"
		size = "policy.key_props.key_size"
	)
	rsa3072 := KeyProperties{Exportable: true, Type: "RSA", Size: 3072}
	ec384 := KeyProperties{Exportable: true, Type: "EC", Size: 384, Curve: "P-384", Reuse: true}
	hsm := KeyProperties{Type: "RSA-HSM", Size: 3072}
	for _, c := range []struct {
		name  string
		old   KeyProperties
		in    KeyParams
		want  KeyProperties
		fault string // path of the field
	}{
		{"nothing", ec384, KeyParams{}, ec384, ""},
		{"reuse of an EC key", KeyProperties{Exportable: true, Type: "EC", Size: 256, Curve: "P-256"}, KeyParams{Reuse: new(true)}, KeyProperties{Exportable: true, Type: "EC", Size: 256, Curve: "P-256", Reuse: true}, ""},
		{"a size", rsa3072, KeyParams{Size: new(4096)}, KeyProperties{Exportable: true, Type: "RSA", Size: 4096}, ""},
		{"a type of another family", rsa3072, KeyParams{Type: new("EC")}, KeyProperties{Exportable: true, Type: "EC", Size: 256, Curve: "P-256"}, ""},
		{"... and back", ec384, KeyParams{Type: new("RSA")}, KeyProperties{Exportable: true, Type: "RSA", Size: 2048, Reuse: true}, ""},
		{"a type with a size that says which curve", rsa3072, KeyParams{Type: new("EC"), Size: new(521)}, KeyProperties{Exportable: true, Type: "EC", Size: 521, Curve: "P-521"}, ""},
		{"a curve, whose size follows", ec384, KeyParams{Curve: new("P-521")}, KeyProperties{Exportable: true, Type: "EC", Size: 521, Curve: "P-521", Reuse: true}, ""},
		{"a size, whose curve follows", ec384, KeyParams{Size: new(256)}, KeyProperties{Exportable: true, Type: "EC", Size: 256, Curve: "P-256", Reuse: true}, ""},
		{"an empty curve says nothing", ec384, KeyParams{Curve: new("")}, ec384, ""},
		{"a type of the same family", ec384, KeyParams{Type: new("ec-hsm")}, KeyProperties{Type: "EC-HSM", Size: 384, Curve: "P-384", Reuse: true}, ""},
		{"out of the module, but not exportable", hsm, KeyParams{Type: new("RSA")}, KeyProperties{Type: "RSA", Size: 3072}, ""},
		{"out of the module, and exportable", hsm, KeyParams{Type: new("RSA"), Exportable: new(true)}, rsa3072, ""},
		{"exportable within the module", hsm, KeyParams{Exportable: new(true)}, hsm, ""},
		{"a size and a curve that contradict each other", ec384, KeyParams{Size: new(256), Curve: new("P-521")}, KeyProperties{}, size},
		{"a type and a size that contradict each other", rsa3072, KeyParams{Type: new("EC"), Size: new(2048)}, KeyProperties{}, size},
		{"a type and a curve that contradict each other", ec384, KeyParams{Type: new("RSA"), Curve: new("P-384")}, KeyProperties{}, crv},
		{"a size that the type does not have", rsa3072, KeyParams{Size: new(384)}, KeyProperties{}, size},
		{"a curve of a key that has none", rsa3072, KeyParams{Curve: new("P-256")}, KeyProperties{}, crv},
		{"an unknown type", rsa3072, KeyParams{Type: new("oct")}, KeyProperties{}, kty},
	} {
		got, err := Policy{Key: c.old, X509: X509Properties{ValidityMonths: 12}}.Update(Params{Key: &c.in}, certtest.Time)
		if c.fault != "" {
			if e, ok := errors.AsType[*field.Error](err); !ok || e.Field != c.fault {
				t.Errorf("%s: %v, want a refusal of %s", c.name, err, c.fault)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got.Key); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, diff)
		}
	}
}

// TestUpdateOfImported: what an imported certificate brought, and nobody could ask
// for, does not stand in the way of another change.
func TestUpdateOfImported(t *testing.T) {
	t.Parallel()
	old := Policy{X509: X509Properties{
		Subject:        `OID.1.2.3="", C=Germany`,
		SANs:           &SANs{DNSNames: []string{"not a host name"}},
		EKUs:           []string{},
		KeyUsage:       []string{},
		ValidityMonths: 12,
	}}
	got, err := old.Update(Params{X509: &X509Params{KeyUsage: []string{"keyAgreement"}, SANs: &SANs{Emails: []string{"a@example.com"}}}}, certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	want := old.X509
	want.KeyUsage = []string{"keyAgreement"}
	want.SANs = &SANs{DNSNames: []string{"not a host name"}, Emails: []string{"a@example.com"}}
	if diff := cmp.Diff(want, got.X509); diff != "" {
		t.Errorf("x509_props (-want +got):\n%s", diff)
	}
}
