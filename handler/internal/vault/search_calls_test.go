package vault_test

// The calls that the searches choose from.

import (
	"context"
	"errors"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// client makes calls about one certificate to one vault.
type client struct {
	*vault.Vault
	ctx   context.Context
	name  vault.Name
	store store.Store
	clock *clock
	watch *watch // compares what is answered with what was stored; nil: nobody does
}

// operation is what a call that returns an operation came to.
func (c *client) operation(op vault.Operation, err error) answer {
	if err == nil && c.watch != nil {
		c.watch.answeredOperation(op)
	}
	return operationAnswer(op, err)
}

// entry is what a call that returns an entry of the board came to.
func (c *client) entry(e vault.BoardEntry, err error) answer {
	if err == nil && c.watch != nil {
		c.watch.answeredEntry(e)
	}
	return entryAnswer(e, err)
}

// certificate is what a call that returns a certificate came to.
func (c *client) certificate(cert vault.Certificate, err error) answer {
	if err == nil && c.watch != nil {
		c.watch.answeredCertificate(cert)
	}
	return certificateAnswer(cert, err)
}

// operationAnswer is what a call that returns an operation came to.
func operationAnswer(op vault.Operation, err error) answer {
	if err != nil {
		return errorAnswer(err)
	}
	return answer{Owner: op.ClientRequestID, Status: op.Status, Cancel: op.CancellationRequested}
}

func entryAnswer(e vault.BoardEntry, err error) answer {
	if err != nil {
		return errorAnswer(err)
	}
	return answer{Owner: e.ClientRequestID, Status: e.Status, Cancel: e.CancellationRequested}
}

func certificateAnswer(c vault.Certificate, err error) answer {
	if err != nil {
		return errorAnswer(err)
	}
	return answer{Leaf: leafLabel(c.Leaf)}
}

func errorAnswer(err error) answer {
	var e *vault.Error
	var bad *field.Error
	switch {
	case err == nil:
		return answer{}
	case errors.As(err, &e):
		return answer{Reason: e.Reason}
	case errors.As(err, &bad):
		return answer{Reason: vault.BadParameter}
	default:
		return answer{Leaf: "unexpected error: " + err.Error()}
	}
}

// modelState is a certificate's state in the model's terms.
func modelState(stored vault.State) state {
	switch {
	case !stored.Exists:
		return state{}
	case stored.Purging:
		return state{Exists: true, Purging: true}
	case stored.Restoring:
		return state{Exists: true, Restoring: true}
	}
	s := state{
		Exists:   true,
		Deleted:  stored.Deleted,
		Policy:   stored.Policy.Issuer.Name,
		Latest:   leafLabel(stored.Leaf),
		Versions: stored.Versions,
	}
	if op := stored.Operation; op != nil {
		s.Owner, s.Issuer, s.Status, s.Cancel = op.ClientRequestID, op.Policy.Issuer.Name, op.Status, op.CancellationRequested
	}
	return s
}

// create is a create with an issuer of its own, or with the stored policy when
// issuer is empty. owner is its client request id, and an organizational unit of
// its policy, so that policies differ.
func create(owner, issuer string) call {
	return call{
		name: "create " + owner,
		run: func(c *client) answer {
			p := vault.CreateParams{ClientRequestID: owner}
			if issuer != "" {
				p.Policy = ellipticPolicy(owner, issuer)
			}
			return c.operation(c.Create(sentAs(c.ctx, owner), c.name, p))
		},
		moves: func(s state) []move { return s.create(owner, issuer) },
	}
}

// retry begins a failed operation anew; owner is its client request id.
func retry(owner string) call {
	return call{
		name:  "retry " + owner,
		run:   func(c *client) answer { return c.entry(c.RetryOperation(sentAs(c.ctx, owner), c.name, "", owner)) },
		moves: func(s state) []move { return s.retry(owner) },
	}
}

func ellipticPolicy(owner, issuer string) *policy.Params {
	p := policyFor(issuer)
	kty, subject := policy.KeyEC, "CN=example.com, OU="+owner
	p.Key, p.X509.Subject = &policy.KeyParams{Type: &kty}, &subject
	return p
}

// onRelease acts on the release of the certificate, if there is one that lets it.
func onRelease(name string, act func(c *client, requestID string) error) call {
	return call{
		name: name,
		run: func(c *client) answer {
			entries, _, err := c.Board(c.ctx, vault.Page{After: "c:" + c.name.String(), Max: 1}, vault.BoardFilter{})
			if err != nil || len(entries) == 0 {
				return errorAnswer(err)
			}
			err = act(c, entries[0].RequestID)
			if reason := errorAnswer(err).Reason; reason == vault.OperationNotFound || reason == vault.ActionRefused {
				return answer{}
			}
			return errorAnswer(err)
		},
		moves: func(s state) []move { return stays(s, answer{}) },
	}
}

// lapse lets so much time go by that claims end, while others are at work. It
// makes a call to the store, which is its moment in a schedule.
var lapse = call{
	name: "90 s go by",
	run: func(c *client) answer {
		_, err := c.store.Get(c.ctx, lapseKey)
		c.clock.Advance(90 * time.Second)
		if errors.Is(err, store.ErrNotFound) {
			return answer{}
		}
		return errorAnswer(err)
	},
	moves: func(s state) []move { return stays(s, answer{}) },
}

const lapseKey = "t:lapse"

// merge is a merge of a certificate for the operation that owner created as the
// index-th maker of keys.
func merge(owner string, key int, leaf string) call {
	return call{
		name: "merge " + leaf,
		run: func(c *client) answer {
			return c.certificate(c.Merge(c.ctx, c.name, vault.MergeParams{X5C: []string{leafOf(key, leaf)}}))
		},
		moves: func(s state) []move { return s.merge(owner, leaf) },
	}
}

// importCertificate imports a certificate for a maker's first key.
func importCertificate(key int, leaf string) call {
	return call{
		name:    "import " + leaf,
		repeats: true,
		run: func(c *client) answer {
			return c.certificate(c.Import(c.ctx, c.name, vault.ImportParams{Value: pemOf(key, leaf)}))
		},
		moves: func(s state) []move { return s.importCertificate(leaf) },
	}
}

// restore brings back a certificate of the issuer Self, of which there was one
// version.
func restore(backup []byte) call {
	return call{
		name:     "restore",
		advances: true,
		run:      func(c *client) answer { return c.certificate(c.Restore(c.ctx, backup)) },
		moves:    state.restore,
	}
}

var (
	tick = call{
		name:       "tick",
		advances:   true,
		everywhere: true,
		run:        func(c *client) answer { return errorAnswer(second(c.Advance(c.ctx))) },
		moves:      func(s state) []move { return stays(s, answer{}) },
	}
	poll = call{
		name:     "poll",
		advances: true,
		run:      func(c *client) answer { return c.operation(c.Operation(c.ctx, c.name, "")) },
		moves:    state.poll,
	}
	get = call{
		name:  "get",
		run:   func(c *client) answer { return c.certificate(c.Certificate(c.ctx, c.name)) },
		moves: state.get,
	}
	cancel = call{
		name:  "cancel",
		run:   func(c *client) answer { return c.operation(c.Cancel(c.ctx, c.name, "", true)) },
		moves: func(s state) []move { return s.cancel(true) },
	}
	uncancel = call{
		name:  "take the cancellation back",
		run:   func(c *client) answer { return c.operation(c.Cancel(c.ctx, c.name, "", false)) },
		moves: func(s state) []move { return s.cancel(false) },
	}
	advance = call{
		name:     "advance",
		advances: true,
		run:      func(c *client) answer { return c.entry(c.AdvanceOperation(c.ctx, c.name, "")) },
		moves:    state.advance,
	}
	giveUp = call{
		name:  "give up",
		run:   func(c *client) answer { return c.entry(c.GiveUpOperation(c.ctx, c.name, "")) },
		moves: state.giveUp,
	}
	advanceRelease = onRelease("advance the release", func(c *client, id string) error { return second(c.AdvanceRelease(c.ctx, c.name, id)) })
	giveUpRelease  = onRelease("give the release up", func(c *client, id string) error { return second(c.GiveUpRelease(c.ctx, c.name, id)) })
	retryRelease   = onRelease("retry the release", func(c *client, id string) error { return second(c.RetryRelease(c.ctx, c.name, id)) })

	deleteOperation = call{
		name:  "delete operation",
		run:   func(c *client) answer { return c.operation(c.DeleteOperation(c.ctx, c.name, "")) },
		moves: state.deleteOperation,
	}
	deleteCertificate = call{
		name:  "delete",
		run:   func(c *client) answer { return c.certificate(c.Delete(c.ctx, c.name)) },
		moves: state.deleteCertificate,
	}
	recoverDeleted = call{
		name:  "recover",
		run:   func(c *client) answer { return c.certificate(c.Recover(c.ctx, c.name)) },
		moves: state.recoverDeleted,
	}
	purge = call{
		name:     "purge",
		advances: true,
		run:      func(c *client) answer { return errorAnswer(c.Purge(c.ctx, c.name)) },
		moves:    state.purge,
	}
)
