package pkcs12

import (
	"bytes"
	"errors"
	"testing"

	"github.com/certwright/certwright/handler/internal/pbe"
)

// A file is read or refused for one of the reasons that Decode documents, and what
// was read is there again after it was written.
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, file []byte, password string) {
		d := &decoder{ctx: t.Context(), work: pbe.NewWork(50_000), passwords: pbe.Passwords(password)}
		if err := d.file(file); err != nil {
			var unsupported *pbe.UnsupportedError
			var malformed *pbe.MalformedError
			if err != pbe.ErrWrongPassword && err != pbe.ErrTooCostly && !errors.As(err, &unsupported) && !errors.As(err, &malformed) {
				t.Fatal(err)
			}
			return
		}
		if len(d.found.Keys) == 0 {
			return
		}
		c := Contents{Key: d.found.Keys[0].PKCS8, FriendlyName: d.found.Keys[0].FriendlyName, LeafFirst: true}
		for _, cert := range d.found.Certificates {
			c.Chain = append(c.Chain, cert.DER)
		}
		again, err := Encode(salts(), c)
		if err != nil {
			t.Fatal(err)
		}
		read, err := Decode(t.Context(), again, "")
		if err != nil {
			if !isSequence(c.Key) || len(c.Chain) >= maxParts-3 {
				return // an unencrypted key of no form, or more than a file may hold with its safes
			}
			t.Fatal(err)
		}
		if !bytes.Equal(read.Keys[0].PKCS8, c.Key) || len(read.Certificates) != len(c.Chain) {
			t.Fatalf("%+v became %+v", c, read)
		}
		for i, cert := range read.Certificates {
			if !bytes.Equal(cert.DER, c.Chain[i]) {
				t.Fatalf("certificate %d became another", i)
			}
		}
	})
}
