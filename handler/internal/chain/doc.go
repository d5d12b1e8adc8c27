// Package chain is what comes back: the certificates that CAs and callers bring,
// in every form in which they bring them, and the one form in which the vault keeps
// them: leaf first, each certificate signed by the next, at most MaxChain.
//
// Reading, ordering and checking are apart, because sources differ in what is
// theirs to decide. A merge brings any order and is not verified, as in Key Vault;
// what a CA issued is held against the CSR (CheckIssued); an import brings a key
// with its certificates. Nothing here trusts a root: a chain is complete or not,
// and its reader decides whom to trust.
//
//	x5c.go keypair.go   reading: what a merge brings, what an import brings
//	chain.go            order; what is accepted from a CA
//	links.go            a chain that is completed from what others offer
//	encoding.go         writing: the stored chain, the backing secret
package chain
