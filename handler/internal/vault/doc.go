// Package vault is the story of a certificate: created, pending, advanced at its
// issuer, completed; merged, imported, cancelled, deleted, recovered, purged,
// restored. It knows nothing of HTTP, of Azure or of any CA's protocol. It reads
// front to back:
//
//	name.go policy.go newpolicy.go   what a caller asks for
//	names.go permitted.go            ... and what of it a provider is to certify
//	head.go operation.go             what is remembered
//	create.go                        1. an operation begins: key pair, CSR, intent
//	pending.go                       2. meanwhile: poll, cancel, delete
//	tick.go advance.go               3. due work; one step at an issuer
//	gate.go                          ... and how much at once
//	chain.go completion.go           ... what it returned: checked, and its chain completed
//	complete.go merge.go             4. a chain becomes the latest version
//	renewal.go                       5. and so does the next one, by itself
//	import.go keypair.go             a chain and its key from elsewhere
//	read.go update.go delete.go      what there is; soft delete, recover, purge
//	secret.go key.go keycipher.go    the backing secret; what the backing key signs and decrypts
//	backup.go restore.go             a certificate with its history, sealed
//	issuer.go issuers.go             the contract of providers; issuer objects
//	release.go revocation.go         what an ended operation left at its CA; versions that it is to revoke
//	board.go actions.go pause.go     what operators see, and what they do about it
//	event.go expiry.go               what is told to others, and when
//	deliver.go undelivered.go        ... until they have it
//	accounts.go challenges.go        what providers keep beyond their operations
//	change.go rows.go store.go       how all of this is written down
//
// # An operation
//
// A certificate has at most one operation, the pending object of Key Vault's
// API. Its states and what moves it:
//
//	                 issuer issues, or a person merges (issuer Unknown)
//	create ──▶ inProgress ────────────────────────────────────▶ completed
//	               │  │                                             ▲
//	               │  └─ issuer refuses, or never answers ─▶ failed ┤ merge of a
//	               │                                                │ certificate
//	               └─ cancellation asked for and granted ─▶ cancelled obtained
//	                                                                  elsewhere
//
// A cancellation is a wish: the flag is set at once, the state changes at the
// next step, and a CA may refuse or be faster. No step ends an operation within
// two seconds of its beginning, so that a client that cancels right after it has
// created wins. A new create takes the place of an operation that has ended, and
// so does an operator's retry of one that failed; a delete removes one in any
// state, and an operator may give one up, which makes it failed. While an
// operation is in progress the latest version is served as before.
//
// # What is written
//
// A vault is one partition of one table, in which rows are ordered by key:
//
//	c:<name>                       head: certificate, policy, copy of the latest version, operation
//	v:<name>:<version>             a version
//	k:<name>:<key id>              a private key, sealed
//	d:<class>:<due>:<name>:<kind>  work to do: class 0 advance, release and revoke, 1 renew, 2 events, 3 purge (also of a broken restore, or an old revocation); due in Unix milliseconds
//	x:<name>                       marker of a soft-deleted certificate
//	r:<request_id>                 release job: what an ended operation left at its CA
//	w:<name>:<version>             revocation: a version that its CA is to revoke, or has
//	e:<event id>:<destination>     an event that a destination does not have yet, or would not take
//	i:<name>                       issuer object, its password sealed
//	a:<account id>                 key of a provider's account at a CA, sealed
//	t:<token>                      HTTP-01 challenge that a CA is about to ask for
//	s:contacts                     people to tell
//	s:heartbeat                    the last tick
//
// and one blob per version, <name>/<version>.pem, the chain, leaf first; a restore
// writes <name>/<version>-<attempt>.pem. A blob means nothing without its
// version's row. Names are lower case in keys.
//
// # The rules
//
//  1. Every change reads the head, decides, and commits one transaction that
//     holds the head under its ETag. One certificate, one row, one lock.
//  2. Due rows are a pure function of the head and are written in its
//     transaction. Nothing that was acknowledged is ever without its next step.
//  3. A conflict, or an answer that got lost, may have been our own write: the
//     head names its last writers. Read again; ours means success; a step's
//     result is applied to the fresh head as long as the step's claim holds.
//  4. A worker claims an operation before it sends anything to a CA. A claim
//     that a dead worker left ends by itself.
//  5. A purge and a restore are states first. Rows go, or come, in batches; the
//     head is deleted, or becomes visible, last.
//  6. What an ended operation may have left at its CA becomes a release job in
//     the transaction that ends it.
//  7. An event is written in the transaction of the change that it tells of, one
//     row for each destination, and goes when the destination has it.
//
// # Where a crash leaves things
//
// The process may be killed anywhere; these are the places that differ.
//
//	before create's transaction    nothing happened
//	after it                       the operation is there with its key and its due row; a tick goes on
//	after a claim, before or       the claim ends after 90 s and another worker takes the step again;
//	during a step                  providers look at the CA before they act
//	after a step, before its save  the same, with the state from before the step
//	after the chain blob, before   the blob stays unused; the next attempt writes one under another name
//	the completing transaction
//	after it                       the version is there and the operation completed
//	in a purge                     the head says purging; its due row makes a tick finish
//	in a restore                   the head says so and nobody sees it; its due row makes a tick purge it
//	after advice was asked for     it is asked for again, and another time in the window may be chosen
//	a renewal that was begun       is an operation like any other
//	after a release, before its    the release is run again; taking back what is gone is no error
//	row is deleted
//	after a delivery, before its   the event is delivered again after 90 s, under the same ID
//	row is deleted
package vault
