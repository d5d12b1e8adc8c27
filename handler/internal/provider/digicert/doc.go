// Package digicert is the provider of DigiCert CertCentral, over its Services API
// v2, with the meaning that Key Vault gives to an issuer object of the provider
// DigiCert: credentials.account_id is kept and returned, credentials.pwd is an API
// key, org_details.id the organization that orders, and a policy's cty is OV-SSL or
// EV-SSL.
//
//	POST /order/certificate/{product}                    order
//	GET  /order/certificate                              find an order
//	GET  /order/certificate/{id}                         look at it
//	PUT  /order/certificate/{id}/status                  cancel it
//	GET  /certificate/{id}/download/format/pem_all       take the certificate
//	PUT  /certificate/{id}/revoke                        revoke it
//
// It reads front to back:
//
//	digicert.go   what a provider is made of; a step
//	check.go      what is refused at once
//	state.go      what is remembered
//	place.go      how an operation comes to its order, and only to one
//	order.go      what is asked for
//	search.go     which orders are an operation's
//	poll.go       what an order's state means; the certificate
//	cancel.go     taking an order back
//	revoke.go
//	answer.go     what CertCentral says
//	client.go     how it is asked
//
// # One order
//
// An order costs money, and the API has no idempotency key: what was sent twice is
// paid twice. So the intention to order is saved first, in a step of its own, with
// the claim (provider.Request.Attempts) under which it was saved and a time after
// which it is void. Only the next step under that same claim, which no other worker
// can have, sends the order, and only before that time. Its comments hold the
// operation's request_id.
//
// Any other step that finds an intention without an order knows only that there may
// be one. It searches CertCentral's list of orders, by comments and CSR, until
// one is found, or the intention has been void for longer than an order takes to
// show in that list; only then it makes a new one. So does the step after one whose
// order was answered by anything but an order id, a refusal or a 429.
//
// What remains is a process that is frozen between looking at the clock and
// sending, for longer than all that, together with its monotonic clock. CertCentral
// refuses a CSR that it has seen; that refusal is taken for what it is, the trace of
// an order that exists. Several orders that are found are cancelled but for one.
package digicert
