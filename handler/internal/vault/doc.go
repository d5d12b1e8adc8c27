// Package vault is the story of a certificate: created, pending, advanced at its
// issuer, completed; merged, imported, cancelled, deleted, recovered, purged,
// restored. It knows nothing of HTTP, of Azure or of any CA's protocol. It reads
// front to back:
//
//	vault.go                         what a Vault is made of
//	name.go permitted.go             what a caller names, and what of it a provider is to certify
//	head.go operation.go             what is remembered
//	create.go room.go                1. an operation begins: key pair, CSR, intent, room for its end
//	pending.go                       2. meanwhile: poll, cancel, delete
//	tick.go gate.go                  3. due work, and how much of it at once
//	advance.go                       ... one step at an issuer
//	completion.go                    ... what it returned is checked, and its chain completed
//	complete.go merge.go             4. a chain becomes the latest version
//	renewal.go life.go               5. and so does the next one, by itself
//	import.go                        a chain and its key from elsewhere
//	read.go update.go delete.go      what there is; soft delete, recover, purge
//	secret.go key.go keycipher.go    the backing secret; what the backing key signs and decrypts
//	backup.go restore.go             a certificate with its history, sealed
//	issuers.go contacts.go           issuer objects; people to tell
//	attempt.go                       one try of work that has a row of its own:
//	release.go revocation.go         ... what an ended operation left at its CA; versions that it is to revoke
//	event.go expiry.go               what is told to others, and when
//	deliver.go undelivered.go        ... until they have it
//	board.go actions.go pause.go     what operators see, and what they do about it
//	repeat.go                        requests that clients send again
//	change.go rows.go due.go         how all of this is written down
//	summary.go unreadable.go         ... what lists need of a row; rows that cannot be read
//	upkeep.go sweep.go repair.go     ... due rows that were lost, or belong to nothing
//	migrate.go places.go             ... what older programs wrote
//	keyrow.go storedchain.go         ... private keys, chains
//	errors.go panic.go tags.go time.go
//
// What a policy is, its CSR included, is in package policy; reading, ordering and
// writing chains in package chain; the contract of providers in package provider; the
// contract of storage in package store; what providers keep beyond their operations in
// the packages keyring and acme.
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
//	q:<request>:<until>            a request that removed something, for when it is sent again
//	s:contacts                     people to tell
//	s:heartbeat                    the last tick
//	s:root                         the secret of which all keys are derived, wrapped and signed (package root)
//	s:sweep                        where the search for lost due rows is
//	s:migrate                      how far what older programs wrote has been brought to today's form, and under which root
//
// and one blob per version, <name>/<version>.pem, the chain, leaf first; a restore
// writes <name>/<version>-<attempt>.pem. A blob means nothing without its
// version's row. Names are lower case in keys.
//
// # The rules
//
//  1. Every change reads the head, decides, and commits one transaction that
//     holds the head under its ETag. One certificate, one row, one lock.
//  2. Due rows are a pure function of their owner (a head, release, revocation or
//     delivery) and are written in its transaction. Nothing that was acknowledged
//     is ever without its next step. The owner lists the due rows that it has, so
//     that those can be taken away which another program worked out otherwise. A
//     due row is a hint: its owner is asked before anything is done, and a row
//     that it does not list is deleted.
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
//  8. A document says which programs may read it and which may rewrite it
//     (store.Schema). One that this program may not read, or that is malformed or
//     not authentic, stops nothing but what is about it: lists and ticks pass over
//     it, it is logged once, and operators see it.
//  9. What older programs wrote is read as it is. Ticks bring it to today's form,
//     and what is under an earlier root under today's, one pass after the other,
//     until nothing is left.
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
//	in a purge                     the head says purging; its due row makes a tick go on where it stopped
//	in a restore                   the head says so and nobody sees it; its due row makes a tick purge it
//	after advice was asked for     it is asked for again, and another time in the window may be chosen
//	while a certificate is held    it is in the operation; the CA is not asked again
//	that is not valid yet
//	a renewal that was begun       is an operation like any other
//	after a release, before its    the release is run again; taking back what is gone is not an error
//	row is deleted
//	after a delivery, before its   the event is delivered again after 90 s, under the same ID
//	row is deleted
//	in a page of a migration       it is gone through again; what is done already is not done again
package vault
