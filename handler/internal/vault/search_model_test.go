package vault_test

// A model of one certificate: which answer each call may get.

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// state is one certificate name in a sequential model of the API: what a caller
// can tell apart, and nothing of how it is stored. The zero value is a name that
// is not taken.
type state struct {
	Exists    bool
	Deleted   bool   // and recoverable
	Expired   bool   // deleted for so long that a tick purges it
	Purging   bool   // cannot come back, but is not gone yet
	Restoring bool   // cannot be seen yet, but the name is taken
	Policy    string // its issuer

	Owner  string // of the operation: the client request id of its create; empty: no operation
	Issuer string // of the operation
	Status vault.Status
	Cancel bool // was asked for
	Asked  bool // a worker took the wish to the CA; it is too late to take it back

	Latest   string // what the latest version's certificate is: see leafLabel
	Versions int
}

// answer is what a call returned, as far as the model can foresee it.
type answer struct {
	Reason vault.Reason // 0: success
	Owner  string       // of the operation that was returned
	Status vault.Status
	Cancel bool
	Leaf   string // of the certificate that was returned
}

func refused(r vault.Reason) answer { return answer{Reason: r} }

func (s state) operation() answer { return answer{Owner: s.Owner, Status: s.Status, Cancel: s.Cancel} }

func (s state) certificate() answer { return answer{Leaf: s.Latest} }

// move is one way in which a call can go.
type move struct {
	answer answer
	next   state
}

func stays(s state, a answer) []move { return []move{{a, s}} }

func (s state) live() bool { return s.Exists && !s.Deleted && !s.Purging && !s.Restoring }

func (s state) pending() bool { return s.live() && s.Owner != "" }

// taken is why nothing new can begin on the name, 0 when it can.
func (s state) taken() vault.Reason {
	switch {
	case s.Purging:
		return vault.BeingDeleted
	case s.Deleted:
		return vault.DeletedButRecoverable
	case s.Restoring:
		return vault.RestoreConflict
	case s.Owner != "" && s.Status == vault.StatusInProgress:
		return vault.OperationInProgress
	}
	return 0
}

// create is Create by the given client. An empty issuer stands for the stored
// policy.
func (s state) create(owner, issuer string) []move {
	switch {
	case s.pending() && s.Owner == owner && s.Status == vault.StatusInProgress:
		return stays(s, s.operation())
	case s.taken() != 0:
		return stays(s, refused(s.taken()))
	case !s.Exists && issuer == "":
		return stays(s, refused(vault.BadParameter))
	}
	if issuer != "" {
		s.Policy = issuer
	}
	s.Exists, s.Owner, s.Issuer, s.Status, s.Cancel, s.Asked = true, owner, s.Policy, vault.StatusInProgress, false, false
	return stays(s, s.operation())
}

func (s state) importCertificate(leaf string) []move {
	if reason := s.taken(); reason != 0 {
		return stays(s, refused(reason))
	}
	next := state{Exists: true, Policy: policy.IssuerUnknown, Latest: leaf, Versions: s.Versions + 1}
	return []move{{next.certificate(), next}}
}

func (s state) poll() []move {
	if !s.pending() {
		return stays(s, refused(vault.OperationNotFound))
	}
	return stays(s, s.operation())
}

func (s state) cancel(requested bool) []move {
	switch {
	case !s.pending():
		return stays(s, refused(vault.OperationNotFound))
	case s.Status != vault.StatusInProgress:
		return stays(s, refused(vault.OperationNotInProgress))
	}
	s.Cancel = requested
	return stays(s, s.operation())
}

// retry is RetryOperation by the given client.
func (s state) retry(owner string) []move {
	switch {
	case s.pending() && s.Owner == owner && s.Status == vault.StatusInProgress:
		return stays(s, s.operation())
	case !s.pending():
		return stays(s, refused(vault.OperationNotFound))
	case s.Status == vault.StatusInProgress:
		return stays(s, refused(vault.OperationInProgress))
	case s.Status == vault.StatusCompleted:
		return stays(s, refused(vault.ActionRefused))
	}
	s.Owner, s.Status, s.Cancel, s.Asked = owner, vault.StatusInProgress, false, false
	return stays(s, s.operation())
}

// giveUp is GiveUpOperation.
func (s state) giveUp() []move {
	switch {
	case !s.pending():
		return stays(s, refused(vault.OperationNotFound))
	case s.Status != vault.StatusInProgress:
		return stays(s, refused(vault.ActionRefused))
	}
	next := s.ended(vault.StatusFailed)
	return []move{{next.operation(), next}}
}

// advance is AdvanceOperation, without what comes of the step. It may answer as
// what the operation ended that was in progress when it began.
func (s state) advance() []move {
	switch {
	case !s.pending():
		return stays(s, refused(vault.OperationNotFound))
	case s.Status != vault.StatusInProgress:
		return []move{{refused(vault.ActionRefused), s}, {s.operation(), s}}
	case s.Issuer == policy.IssuerUnknown && !s.Cancel:
		return stays(s, refused(vault.ActionRefused))
	}
	return stays(s, s.operation())
}

func (s state) deleteOperation() []move {
	if !s.pending() {
		return stays(s, refused(vault.OperationNotFound))
	}
	next := s
	next.Owner, next.Issuer, next.Status, next.Cancel, next.Asked = "", "", "", false, false
	return []move{{s.operation(), next}}
}

// merge is Merge of a certificate for the key of owner's operation.
func (s state) merge(owner, leaf string) []move {
	switch {
	case !s.pending():
		return stays(s, refused(vault.OperationNotFound))
	case s.Owner != owner:
		// The operation that was meant is not there any more. What is said
		// about it depends on when that was noticed.
		return []move{{refused(vault.OperationNotFound), s}, {refused(vault.BadParameter), s}, {refused(vault.MergeForbidden), s}}
	case s.Status == vault.StatusCompleted:
		return stays(s, refused(vault.BadParameter))
	case s.Status == vault.StatusInProgress && s.Issuer != policy.IssuerUnknown:
		return stays(s, refused(vault.MergeForbidden))
	}
	next := s.completed(leaf)
	return []move{{next.certificate(), next}}
}

func (s state) completed(leaf string) state {
	s.Latest, s.Versions = leaf, s.Versions+1
	return s.ended(vault.StatusCompleted)
}

func (s state) ended(as vault.Status) state {
	s.Status, s.Asked = as, false
	return s
}

func (s state) deleteCertificate() []move {
	if !s.live() {
		return stays(s, refused(vault.CertificateNotFound))
	}
	if s.Status == vault.StatusInProgress {
		s = s.ended(vault.StatusCancelled)
	}
	s.Deleted = true
	return stays(s, s.certificate())
}

func (s state) recoverDeleted() []move {
	if !s.Deleted || s.Purging {
		return stays(s, refused(vault.DeletedNotFound))
	}
	s.Deleted, s.Expired = false, false
	return stays(s, s.certificate())
}

func (s state) purge() []move {
	if !s.Deleted || s.Purging {
		return stays(s, refused(vault.DeletedNotFound))
	}
	return []move{{answer{}, state{Exists: true, Purging: true}}}
}

// restored is what Restore of a certificate of Self with one version makes.
var restored = state{Exists: true, Policy: policy.IssuerSelf, Latest: issued, Versions: 1}

func (s state) restore() []move {
	switch {
	case s.Purging || s.Deleted:
		return stays(s, refused(s.taken()))
	case s.Exists:
		return stays(s, refused(vault.RestoreConflict))
	}
	return []move{{restored.certificate(), state{Exists: true, Restoring: true}}}
}

// get is Certificate.
func (s state) get() []move {
	if !s.live() {
		return stays(s, refused(vault.CertificateNotFound))
	}
	return stays(s, s.certificate())
}

// advanced is what the vault itself may make of s: a tick, a poll that takes a
// step, a purge that goes on.
func (s state) advanced() []state {
	switch {
	case s.Purging:
		return []state{{}}
	case s.Expired:
		return []state{{Exists: true, Purging: true}}
	case s.Restoring: // done, or broken off and taken back
		return []state{restored, {Exists: true, Purging: true}}
	case !s.pending() || s.Status != vault.StatusInProgress:
		return nil
	}
	var next []state
	if s.Cancel && !s.Asked {
		asking := s
		asking.Asked = true
		next = append(next, asking)
	}
	if s.Asked {
		next = append(next, s.ended(vault.StatusCancelled))
	}
	switch s.Issuer {
	case policy.IssuerUnknown:
	case refusing:
		next = append(next, s.ended(vault.StatusFailed))
	default:
		next = append(next, s.completed(issued))
	}
	return next
}

// visible is s without what a caller cannot see.
func (s state) visible() state {
	s.Asked, s.Expired = false, false
	return s
}

// call is a call of the API, to run and to foresee.
type call struct {
	name       string
	advances   bool // it may have the vault advance what it has
	everywhere bool // it is not about one certificate
	repeats    bool // sent again after it succeeded, it succeeds again
	run        func(*client) answer
	moves      func(state) []move
}

// record is a call that was made.
type record struct {
	call
	name vault.Name
	// began and ended are moments of a clock that counts events: the call had
	// no effect before began; ended is 0 when it never returned.
	began, ended int
	// maybe says that the call may have had an effect whatever it returned, or
	// have one yet: its worker was killed, or it could not reach the store.
	maybe  bool
	answer answer
}

func (r *record) String() string {
	switch {
	case r.maybe:
		return fmt.Sprintf("%s, which may have had its effect: %+v", r.name, r.answer)
	default:
		return fmt.Sprintf("%s: %+v", r.name, r.answer)
	}
}

// explain reports whether some order of the recorded calls, each taking effect
// at one moment between its beginning and its end, leads the model from one
// state to another with the answers that were given. Calls that may or may not
// have had an effect are free. In between, the vault may advance what it has, if
// one of the calls makes it.
func explain(from state, records []*record, to state) error {
	type place struct {
		done uint64
		at   state
	}
	seen := make(map[place]bool)
	advances := slices.ContainsFunc(records, func(r *record) bool { return r.advances })
	all := uint64(1)<<len(records) - 1
	var search func(place) bool
	search = func(p place) bool {
		if seen[p] {
			return false
		}
		seen[p] = true
		if p.done == all && p.at.visible() == to {
			return true
		}
		if advances {
			for _, next := range p.at.advanced() {
				if search(place{p.done, next}) {
					return true
				}
			}
		}
		for i, r := range records {
			bit := uint64(1) << i
			if p.done&bit != 0 || !mayBeNext(records, p.done, r) {
				continue
			}
			if r.maybe && search(place{p.done | bit, p.at}) {
				return true
			}
			for _, m := range r.moves(p.at) {
				if (r.maybe || m.answer == r.answer) && search(place{p.done | bit, m.next}) {
					return true
				}
			}
		}
		return false
	}
	if search(place{0, from}) {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "no order of the calls explains the answers and the final state\nfrom  %+v", from)
	for _, r := range records {
		fmt.Fprintf(&b, "\n%3d-%-3d %s", r.began, r.ended, r)
	}
	fmt.Fprintf(&b, "\nto    %+v", to)
	return errors.New(b.String())
}

// mayBeNext: no call that is still to come ended before r began.
func mayBeNext(records []*record, done uint64, r *record) bool {
	for i, other := range records {
		if done>>i&1 == 0 && other.ended != 0 && !other.maybe && other.ended < r.began {
			return false
		}
	}
	return true
}
