// Package storetest has what tests need of stores: the contract as a test
// (StoreContract), a store that fails as a network does (Faulty), and a search over
// the interleavings of several workers on one store (Interleave), which may also stop
// one of them at any of its calls.
//
// The search runs each worker until its next call to the store and then chooses who
// goes on, so that a schedule is a sequence of calls and can be run again. Orders
// that differ only in calls that do not touch the same rows (Independent) are run
// once. A scenario with too many schedules is searched in part, at random from a
// fixed seed.
//
//	contract*.go                        the contract, by subject
//	intercept.go faulty.go              calls that are watched, and that fail
//	interleave.go schedule.go choose.go the search: what it runs, how, in which order
//	independent.go                      which calls commute
//	rows.go                             rows for tests
package storetest
