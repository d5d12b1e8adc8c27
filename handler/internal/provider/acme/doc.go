// Package acme is the provider of certificate authorities that speak ACME (RFC
// 8555). It reads front to back:
//
//	acme.go                       what it is made of
//	step.go state.go              one step, and what is remembered between steps
//	account.go                    the account at the CA
//	order.go                      1. an order is placed, looked at, finalized
//	plan.go                       2. which proof for which name
//	prove.go                      3. proofs are published, seen, validated, withdrawn
//	download.go                   4. the chain
//	release.go                    what an order that ended otherwise left behind
//	check.go                      what is refused beforehand
//	renewal.go revoke.go          renewal information (RFC 9773), revocation
//	dns.go resolve.go             TXT records: where they go, whether they are seen
//	azuredns.go hook.go           TXT records in Azure DNS, and in any other DNS
//	client.go problem.go          what is sent to a CA, and what its refusals mean
//
// # An order
//
// Every step looks at the order first; its status decides:
//
//	no order     place one; its names are those of the CSR
//	pending      plan ─▶ publish ─▶ wait until it is seen ─▶ have it validated ─▶ wait
//	ready        finalize
//	processing   withdraw the proofs; wait
//	valid        withdraw the proofs; download the chain
//	invalid      fail with what the CA says, or place another order if it only expired
//
// A proof is the TXT record of dns-01, the token of http-01, or the standing
// record of dns-persist-01, which a person publishes once and which is only
// read here. They are chosen in the order: standing record that is there, zone
// that is configured, token, standing record that is asked for.
//
// # Where a crash leaves things
//
// A step that is run again with the state from before it does no harm:
//
//	registering an account       the key was stored before; the CA returns the same account
//	placing an order             a second order; the first, never used, expires at the CA
//	publishing, withdrawing      the plan was saved before; the same values again
//	asking for validation        the challenge is not pending any more; nothing is sent
//	finalizing                   the order is not ready any more; nothing is sent
//	downloading                  the same certificate again
//
// If the CA has lost the account, it is registered again with its key; orders of
// the lost one are given up and placed anew.
//
// # Hook
//
// A DNS that is not Azure's is changed through a web hook:
//
//	POST URL
//	Authorization: Bearer TOKEN
//	Content-Type: application/json
//
//	{"action": "add", "fqdn": "_acme-challenge.example.com.", "value": "gfj9Xq...Rg85nM"}
//
// The action "add" asks for a TXT record with the value beside those that are
// there, "remove" for the end of that one. Both may come again and are then no
// errors. Any 2xx means done; it need not be visible yet. A 4xx, except 408, 425
// and 429, is final and fails the request with the first line of the answer's
// text; everything else is tried again.
package acme
