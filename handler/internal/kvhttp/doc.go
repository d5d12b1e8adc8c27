// Package kvhttp is Key Vault's REST API for certificates in front of a
// [vault.Vault].
//
// # The way of a request
//
// The caller is identified before anything else, and before a byte of the body is
// read, because every Key Vault SDK sends its first request without token and
// body to learn from the 401 where to get a token. Then, each refusal in this
// order: api-version, path and verb, permission, name, body, and what the vault
// has against it. Known deviations from the live service are in DIVERGENCES.md.
//
// A request that has got this far is finished even if its client goes away: it
// runs under a deadline of its own.
//
// Read routes.go and server.go first: the route table and the way through it. A
// route is a function in certificates.go, operations.go, issuers.go, contacts.go,
// secrets.go or keys.go, or, where Key Vault has nothing of the kind, in board.go,
// undelivered.go or revocations.go; it decodes, calls the vault once and shows the
// result.
// The wire files hold the JSON types and their conversions, errors.go all
// failures, backing.go what secrets and keys have in common, urls.go and links.go
// the addresses, page.go the paging, requestlog.go what the log says.
//
// openapi.json describes all this in OpenAPI 3.1. It is made from the route table
// and the wire types by openapi_test.go, which also fails when it is stale.
package kvhttp

//go:generate go test -run ^TestOpenAPI$ . -update
