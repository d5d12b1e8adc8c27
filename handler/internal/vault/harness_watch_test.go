package vault_test

// What every change of a store is checked for.

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// watch sees every change of a store and notes what must not happen.
type watch struct {
	now func() time.Time

	mu        sync.Mutex                 // guards what follows
	states    map[vault.Name]vault.State // as they are now
	completed map[string]bool            // request ids of operations that became versions
	asked     map[string]string          // what each request that was ever stored asks for, by its id
	issued    map[string][]byte          // the certificate of each version that was ever the latest, by its id
	wrong     []error
}

func newWatch(now func() time.Time) *watch {
	return &watch{now: now, completed: make(map[string]bool), asked: make(map[string]string), issued: make(map[string][]byte)}
}

// start begins to watch at states that came from elsewhere.
func (w *watch) start(states map[vault.Name]vault.State) {
	w.states = states
	for _, s := range states {
		w.remember(s)
	}
}

// remember keeps what answers may tell of, also when it is gone by then.
func (w *watch) remember(s vault.State) {
	if s.Operation != nil {
		w.asked[s.Operation.RequestID] = requested(*s.Operation)
	}
	if s.Latest != "" {
		w.issued[s.Latest] = s.Leaf
	}
}

// requested is what never changes of an operation.
func requested(op vault.Operation) string {
	return fmt.Sprintf("%x %s %s %s by %s", op.CSR, op.KeyID, op.Policy.X509.Subject, op.Created, op.Provider)
}

// answeredOperation compares an answer with what was stored.
func (w *watch) answeredOperation(op vault.Operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if stored, ok := w.asked[op.RequestID]; !ok {
		w.note("an answer tells of the request %s, which never was", op.RequestID)
	} else if told := requested(op); told != stored {
		w.note("an answer tells of the request %s as %s; it is %s", op.RequestID, told, stored)
	}
}

func (w *watch) answeredEntry(e vault.BoardEntry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.asked[e.RequestID]; !ok {
		w.note("an answer tells of the request %s, which never was", e.RequestID)
	}
}

func (w *watch) answeredCertificate(c vault.Certificate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Leaf != nil && !bytes.Equal(w.issued[c.Version], c.Leaf) {
		w.note("an answer shows another certificate as version %s", c.Version)
	}
}

func (w *watch) read(contents memory.Contents) map[vault.Name]vault.State {
	states := make(map[vault.Name]vault.State)
	for _, n := range vault.Names(contents.Rows) {
		s, err := vault.StateOf(contents.Rows, n)
		if err != nil {
			w.note("%w", err)
		}
		states[n] = s
	}
	return states
}

// see is for memory.Store.OnCommit.
func (w *watch) see(before, after memory.Contents) {
	if onlyHeartbeat(before, after) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := vault.Invariants(after.Rows, after.Blobs); err != nil {
		w.note("after a transaction: %w", err)
	}
	states := w.read(after)
	for _, s := range states {
		w.remember(s)
	}
	for n, old := range w.states {
		w.certificate(n, old, states[n], before, after)
	}
	for n, new := range states {
		if _, known := w.states[n]; !known {
			w.certificate(n, vault.State{}, new, before, after)
		}
	}
	w.states = states
}

// onlyHeartbeat: nothing else differs.
func onlyHeartbeat(before, after memory.Contents) bool {
	if len(before.Rows) != len(after.Rows) || len(before.Blobs) != len(after.Blobs) {
		return false
	}
	for i, r := range after.Rows {
		if r.ETag != before.Rows[i].ETag && r.Key != "s:heartbeat" {
			return false
		}
	}
	return true
}

func (w *watch) certificate(n vault.Name, old, new vault.State, before, after memory.Contents) {
	w.head(old, new)
	w.operation(old, new)
	w.versions(n, before, after, old.Purging)
}

// state is what the store holds of a certificate.
func (w *watch) state(n vault.Name) vault.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.states[n]
}

// current is the operation with this request id, nil when there is none.
func (w *watch) current(requestID string) *vault.Operation {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.states {
		if op := s.Operation; op != nil && op.RequestID == requestID {
			return op
		}
	}
	return nil
}

func (w *watch) note(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Errorf(format, args...))
}

// head checks the life of a certificate.
func (w *watch) head(old, new vault.State) {
	switch {
	case !old.Exists && new.Exists && !new.Restoring && (new.Deleted || new.Versions > 1 || (new.Versions == 1) != (new.Operation == nil)):
		w.note("a new certificate has neither an operation nor one version")
	case old.Exists && !new.Exists && !old.Purging:
		w.note("a certificate vanished that was not being purged")
	case old.Purging && new.Exists && !new.Purging:
		w.note("a purge was undone")
	case old.Exists && !old.Deleted && !old.Restoring && new.Purging:
		w.note("a certificate is purged that was not deleted")
	case old.Deleted && (old.Versions != new.Versions || !bytes.Equal(old.Leaf, new.Leaf)) && !new.Purging && new.Exists:
		w.note("a deleted certificate changed its versions")
	case old.Restoring && !new.Restoring && !new.Purging && old.Versions != new.Versions:
		w.note("a certificate became visible with versions that come in the same moment")
	}
}

// successors are the transitions of the diagram in the package comment.
var successors = map[vault.Status][]vault.Status{
	vault.StatusInProgress: {vault.StatusCompleted, vault.StatusCancelled, vault.StatusFailed},
	vault.StatusFailed:     {vault.StatusCompleted},
	vault.StatusCancelled:  {vault.StatusCompleted},
}

// operation checks the life of an operation.
func (w *watch) operation(old, new vault.State) {
	was, is := old.Operation, new.Operation
	switch {
	case is == nil:
		return
	case was == nil || was.RequestID != is.RequestID:
		w.begins(was, is)
		return
	}
	if was.Status != is.Status {
		w.becomes(old, new)
	} else if new.Versions > old.Versions {
		w.note("a version came while the operation stayed %s", is.Status)
	}
	if is.Claim < was.Claim || is.Claim > was.Claim+1 {
		w.note("the claim went from %d to %d", was.Claim, is.Claim)
	}
	if was.Status != vault.StatusInProgress && was.CancellationRequested != is.CancellationRequested {
		w.note("a cancellation was asked for of what had ended")
	}
	if !bytes.Equal(was.CSR, is.CSR) || was.KeyID != is.KeyID || !was.Created.Equal(is.Created) || was.Provider != is.Provider {
		w.note("an operation changed what it asks for")
	}
}

func (w *watch) begins(was, is *vault.Operation) {
	if was != nil && was.Status == vault.StatusInProgress {
		w.note("an operation took the place of one in progress")
	}
	if is.Status != vault.StatusInProgress || is.Claim != 0 {
		w.note("an operation began as %s, claim %d", is.Status, is.Claim)
	}
	csr, err := x509.ParseCertificateRequest(is.CSR)
	if err != nil {
		w.note("%w", err)
		return
	}
	ec := csr.PublicKeyAlgorithm == x509.ECDSA
	if ec != (is.Policy.Key.Type == policy.KeyEC) || !sameUnit(csr, is.Policy) {
		w.note("the CSR for %s, %s, is not what its policy asks for: %s, %s",
			csr.Subject, csr.PublicKeyAlgorithm, is.Policy.X509.Subject, is.Policy.Key.Type)
	}
}

// sameUnit compares the organizational units, by which the policies of the
// searches differ.
func sameUnit(csr *x509.CertificateRequest, p policy.Policy) bool {
	var unit string
	if len(csr.Subject.OrganizationalUnit) > 0 {
		unit = "OU=" + csr.Subject.OrganizationalUnit[0]
	}
	return strings.Contains(p.X509.Subject, unit)
}

func (w *watch) becomes(old, new vault.State) {
	was, is := old.Operation, new.Operation
	legal := false
	for _, s := range successors[was.Status] {
		legal = legal || s == is.Status
	}
	if !legal {
		w.note("an operation that was %s became %s", was.Status, is.Status)
	}
	added := 0
	if is.Status == vault.StatusCompleted {
		added = 1
		w.completed[is.RequestID] = true
	}
	if new.Versions != old.Versions+added {
		w.note("an operation became %s with %d new versions", is.Status, new.Versions-old.Versions)
	}
	givenUp := is.Error != nil && is.Error.Code == provider.CodeGivenUp
	merged := is.Status == vault.StatusCompleted && (is.Provider == "" || was.Status != vault.StatusInProgress)
	if early := w.now().Before(is.Created.Add(2 * time.Second)); early && !merged && !givenUp && !new.Deleted {
		w.note("an operation became %s within two seconds", is.Status)
	}
}

// versions checks that versions only come, until a purge takes them, and that
// their certificates, chains and keys stay.
func (w *watch) versions(n vault.Name, before, after memory.Contents, purging bool) {
	now := make(map[string][]byte)
	for _, r := range after.Rows {
		now[r.Key] = r.Doc
	}
	for _, r := range before.Rows {
		if !strings.HasPrefix(r.Key, "v:"+n.String()+":") {
			continue
		}
		doc, ok := now[r.Key]
		switch {
		case !ok && !purging:
			w.note("version %s vanished", r.Key)
		case ok && !bytes.Equal(doc, r.Doc):
			if lasting(doc) != lasting(r.Doc) {
				w.note("version %s is another one now", r.Key)
			}
		}
	}
}

// lasting is what never changes of a version.
func lasting(doc []byte) string {
	var v struct {
		Created          time.Time
		Leaf             []byte
		Chain, ID, KeyID string
	}
	if err := json.Unmarshal(doc, &v); err != nil {
		return err.Error()
	}
	return fmt.Sprint(v)
}
