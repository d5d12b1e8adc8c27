// Package e2e proves the whole, as a client meets it: the packaged app, under the
// Functions host, on Azurite, behind the front door, with tokens of the local
// identity. It has tests only.
//
// Two stages serve them. A [cloud] is the local cloud as `make run` starts it; the
// official clients and curl are led to it by its settings for shells, as they are
// in any shell that has sourced them. A [backend] is Azurite and the identity
// alone; tests that kill the handler, run two of them, or need to see its log start
// their own Functions hosts on it, each with a vault of its own.
//
//	wire_test.go     the requests of Key Vault's documents, by curl; the contract is in testdata/*.txt
//	clients_test.go  the official Python, JavaScript and Go clients, through one list of steps
//	quickstart_test.go  the flow of the Python quickstart, twice with one name
//	route_test.go    which function gets which request, and what refusals look like
//	timer_test.go    no URL reaches the timer
//	kill_test.go     the handler is killed at any moment, and nothing that was acknowledged is lost
//	pair_test.go     two handlers on one storage
//	budget_test.go   start, memory, size
//
// Everything that a test starts is ended when the tests end, and by the kernel when
// they are killed.
package e2e
