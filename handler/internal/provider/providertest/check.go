package providertest

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// ending says how an operation may end.
type ending uint8

const (
	completed ending = iota
	givenUp          // by the user, who may have been too late
)

// check compares a trial that is over with what the provider promises.
func (w *world) check(tr trial) error {
	return errors.Join(
		w.checkEnd(tr.want),
		w.checkMade(tr),
		w.checkNetwork(),
		w.checkSecrets(),
	)
}

// checkEnd demands that the operation ended as it should, with one version or
// none.
func (w *world) checkEnd(want ending) error {
	op, err := w.operation()
	if err != nil {
		return err
	}
	versions := w.rows("v:")
	if len(versions) > 1 {
		return fmt.Errorf("one operation has %d versions", len(versions))
	}
	switch {
	case op == nil && want == givenUp:
		return nil
	case op == nil:
		return errors.New("the operation is gone")
	case op.Status == vault.StatusCancelled && want == givenUp:
		if len(versions) != 0 {
			return errors.New("a cancelled operation has a version")
		}
		return nil
	case op.Status != vault.StatusCompleted:
		return fmt.Errorf("the operation is %s: %+v", op.Status, op.Error)
	}
	return w.checkVersion(op)
}

// checkVersion demands that the version is of the operation's key.
func (w *world) checkVersion(op *vault.Operation) error {
	c, err := w.user.vault.Certificate(w.t.Context(), w.name)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(c.Leaf)
	if err != nil {
		return fmt.Errorf("the certificate: %w", err)
	}
	csr, err := x509.ParseCertificateRequest(op.CSR)
	if err != nil {
		return fmt.Errorf("the CSR: %w", err)
	}
	if !bytes.Equal(leaf.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo) {
		return errors.New("the certificate has another key than the CSR")
	}
	return nil
}

// checkMade compares what the CA made with what it may.
func (w *world) checkMade(tr trial) error {
	if w.rig.Made == nil {
		return nil
	}
	factor := 1
	if tr.frozen && !w.rig.Idempotent {
		factor = 2
	}
	made := w.rig.Made()
	var errs []error
	if most := w.rig.MaxOrders * factor; most > 0 && made.Orders > most {
		errs = append(errs, fmt.Errorf("the CA has %d orders for one operation, at most %d may be", made.Orders, most))
	}
	if most := w.rig.MaxCertificates * factor; most > 0 && made.Certificates > most {
		errs = append(errs, fmt.Errorf("the CA made %d certificates for one operation, at most %d may be", made.Certificates, most))
	}
	if len(made.Held) > 0 {
		errs = append(errs, fmt.Errorf("nobody will take back what the CA still holds: %q", made.Held))
	}
	return errors.Join(errs...)
}

func (w *world) checkNetwork() error {
	var errs []error
	if n := w.network.strayed.Load(); n > 0 {
		errs = append(errs, fmt.Errorf("%d requests went where a redirect led", n))
	}
	if n := w.network.taken.Load(); n > maxTaken {
		errs = append(errs, fmt.Errorf("an endless answer was read beyond %d MiB", maxTaken>>20))
	}
	if n := w.network.ignored.Load(); n > 0 {
		errs = append(errs, errors.New("an exchange went on after the deadline of its step"))
	}
	return errors.Join(errs...)
}

// checkSecrets looks for the rig's secrets in all that was logged, and for what
// watchSecrets saw.
func (w *world) checkSecrets() error {
	var errs []error
	for line := range strings.Lines(w.log.String()) {
		if at := w.secretIn(line); at >= 0 {
			errs = append(errs, fmt.Errorf("secret %d is logged: %s", at, strings.ReplaceAll(line, w.rig.Secrets[at], "(secret)")))
			break
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(append(errs, w.readable)...)
}

// watchSecrets looks for the rig's secrets in all rows that are ever stored.
func (w *world) watchSecrets() {
	w.store.OnCommit(func(_, after memory.Contents) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, row := range after.Rows {
			if at := w.secretIn(string(row.Doc)); at >= 0 && w.readable == nil {
				w.readable = fmt.Errorf("secret %d is readable in row %q", at, row.Key)
			}
		}
	})
}

// secretIn is the index of the first secret in text, -1 when there is none.
func (w *world) secretIn(text string) int {
	return slices.IndexFunc(w.rig.Secrets, func(secret string) bool { return strings.Contains(text, secret) })
}
