package golden_test

import (
	"bytes"
	"crypto/x509"
	"testing"

	"github.com/certwright/certwright/handler/internal/vault"
)

// TestOldNamesStay: 0.1.0 read and wrote subjects the other way round. What it stored
// is written in today's order and means the same name, also in its backup.
func TestOldNamesStay(t *testing.T) {
	t.Parallel()
	f := readFixture(t)
	w := f.open(t)
	ctx := t.Context()
	for _, restored := range []bool{false, true} {
		if restored {
			_, err := w.Delete(ctx, w.name("web"))
			w.must("deleting", err)
			w.must("purging", w.Purge(ctx, w.name("web")))
			_, err = w.Restore(ctx, f.Backup)
			w.must("restoring", err)
		}
		web, err := w.Certificate(ctx, w.name("web"))
		w.must("reading web", err)
		if got, want := web.Policy.X509.Subject, "O=Golden, CN=web.example.com"; got != want {
			t.Errorf("restored %v: the subject is %s, want %s", restored, got, want)
		}
		op, err := w.Create(ctx, w.name("web"), vault.CreateParams{})
		w.must("creating a version", err)
		csr, err := x509.ParseCertificateRequest(op.CSR)
		w.must("reading a CSR", err)
		leaf, err := x509.ParseCertificate(web.Leaf)
		w.must("reading a leaf", err)
		if !bytes.Equal(csr.RawSubject, leaf.RawSubject) {
			t.Errorf("restored %v: the next version is asked for as %s, the last was %s", restored, csr.Subject, leaf.Subject)
		}
	}
}
