// Package providertest is the contract of provider.Provider as a test:
// IssuerContract. It runs a provider in a vault, with the CA that its Rig serves,
// once for each moment at which something can go wrong: a lost or failing answer, a
// process that is killed or frozen at a call or at a write, a redirect, an endless
// body, a cancellation or deletion at any time. The clock is simulated, so that a run
// takes milliseconds.
//
//	contract.go  Rig, and the suite
//	world.go     one run: the vault, its store, the clock, processes
//	trial.go     a disturbance at one moment of it
//	process.go   a process that can be killed; the provider in it, watched
//	network.go   servers that the provider reaches
//	fault.go     what can happen to an exchange
//	stall.go     a worker that is frozen while another takes its operation over
//	release.go   operations that are deleted or cancelled
//	check.go     what must hold in the end
package providertest
