// Package provider is the contract of CAs. A provider is a kind of CA; an issuer is
// an account at one, which callers of the API configure. Each folder below is one
// provider, besides egress, with which they call their CAs, and the packages for
// tests: providertest, signertest and fault.
//
// A provider has one method, Step, which takes an operation a step further and
// returns. It does not wait and has no state but the JSON that it returns: the vault
// keeps that, decides when the next step is due, and may run it in another process.
// What else a CA can do is an ability of its own, an interface that its provider
// implements or not: Canceler, Releaser, IssuerChecker, PolicyChecker, Revoker,
// RenewalAdviser, OrderNamer, Instant, ChainSource. So a provider says by its type
// what it can do, and the vault asks for nothing else.
//
// Providers know policies and nothing of the vault. What they call is written in the
// server's settings, never in an issuer object.
package provider
