// Package root keeps the root secret of an installation, of which all its other keys
// are derived (package rootkey).
//
// The secret is 32 random bytes. It is stored in the row s:root of the vault's
// partition, and once more in the blob root/<id>.json, wrapped by the key-encryption
// key and signed by it:
//
//	{"schema":2, "id", "installation", "kek", "wrapped", "created", "unsignedUntil", "signature"}
//
// A writer of storage who knows the public half of the key-encryption key can wrap
// another secret, but not sign it. The signature is over the text
// "certwright/root/1", then partition, id, installation, KEK id, wrapped secret, and
// the two times in Unix milliseconds in decimal, each of the eight preceded by its
// length (u32). It is verified before anything derived of the secret is believed.
//
// # When it is opened
//
// Once in a process, begun right after it listens: one scan, one request for the
// public half, one unwrap. A process that has opened the secret needs the
// key-encryption key for nothing more, and serves through an outage of its vault.
// Every half hour it asks all the same: an answer that the key is disabled, forbidden
// or gone ends the use of the secret, at the latest an hour after it was last allowed;
// silence does not.
//
// # Where there is none
//
// Without any row a root is made. Where rows have MACs the root is brought back from
// the blob that they name. Rows without MACs are of release 0.1.0: a development
// installation adopts them, elsewhere an operator says so ([Keeper.Adopt]); until
// then nothing is served. Rows without MACs then count for a day, or until the
// migration is done ([Keeper.EndAdoption]). Deleting the root opens nothing.
//
// # How it changes
//
// A new version of the key-encryption key wraps and signs the one secret again
// ([Keeper.Rewrap]). A new secret ([Keeper.Rotate]) takes the row s:root; the one
// before moves to s:root:<id> and counts until it is forgotten ([Keeper.Forget]). Ticks
// bring every row that is signed or sealed under it ([RootsOf]) under the new one
// (package vault); backups, which are no rows, stay under it. A running process learns
// of a new root from a row that names it, or when it asks whether the key-encryption
// key may still be used. So a root is forgotten an hour after the rotation at the
// earliest.
//
// A writer of storage can put back the row of a root that was replaced, as long as the
// version of the key-encryption key that signed it is enabled: after a leak, rotate,
// rewrap under a new version, and disable the old one.
package root
