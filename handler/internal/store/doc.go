// Package store is the contract between those who keep something and the storage
// service: rows of one ordered partition, changed by transactions under ETags, and
// blobs. The vault, the keys of providers and the challenges of ACME are rows of it.
//
// The contract says what Azure Table and Blob Storage do and no more, the lost
// answers and late effects of a network among it. Limits of the service are checked
// here (Tx.Check, Range.Check, CheckBlob) and every store calls the checks first, so
// that the store in memory refuses what the real one would.
//
//	store.go     Store, Row, Tx, Range, and the limits of each
//	document.go  JSON in rows, with the number of its schema
//	errors.go    what a store's errors wrap
//
// Package azstore is the store in Azure, package memory the one in memory, and
// package storetest the test that both pass.
package store
