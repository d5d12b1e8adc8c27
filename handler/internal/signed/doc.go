// Package signed is a store whose rows cannot be forged: it signs what is written
// and verifies what is read, between the vault and the store that keeps the rows.
// A writer of storage without a key can take rows away, or put back what was there
// before; a new row, or a changed or moved one, counts for nothing.
//
// # What is signed
//
//	row:<class>     which is
//	k: a:           sealed: its content is authenticated by package seal
//	d:              a hint, which decides nothing: the head does
//	s:heartbeat     for people only
//	s:root s:root:  signed by the key-encryption key, see package root
//	every other     signed here
//
// A row's MAC is
//
//	1:<root id>:<HMAC-SHA256 of the input, base64url without padding>
//
// where the input is the text "certwright/row/1", then partition, key, label and
// document, each of the five preceded by its length in bytes (big-endian u32). So a
// row counts under its own key and in its own vault only, and the bytes that are
// stored are those that are signed. The MAC of a summary is the same over the text
// "certwright/sum/1", partition, key, label and summary.
//
// Rows of release 0.1.0 have no MAC. They count as long as the installation's root,
// which nobody but the key-encryption key can sign, says so, and only where their
// document is of schema 1: a document of a later schema was never written without.
package signed
