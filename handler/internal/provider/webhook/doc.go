// Package webhook is the provider of CAs that are reached through Certwright's
// own small HTTP contract: the owner of a CA that speaks nothing else puts a few
// hundred lines in front of it. docs/webhook.md is the contract for them,
// docs/webhook.openapi.json its formal part; scripts/examples/webhook has a
// server, and a program that checks one.
//
//	GET    {base}/v1/requests/{requestId}   look at a request
//	POST   {base}/v1/requests               make it, when there is none
//	DELETE {base}/v1/requests/{requestId}   take it back
//	POST   {base}/v1/revocations            revoke a certificate (optional)
//
// It reads front to back:
//
//	webhook.go      what a provider is made of; a step; cancel and release
//	request.go      what is sent: never a private key
//	answer.go       what comes back, and what it means
//	signature.go    who sends it
//	revoke.go
//
// # Where a crash leaves things
//
// Requests have the operation's request_id as their name at the CA, so nothing
// has to be remembered here: a step that is run again, elsewhere or by two
// workers at once, looks first and finds what the other one made, and a POST that
// meets another POST names the same request.
package webhook
