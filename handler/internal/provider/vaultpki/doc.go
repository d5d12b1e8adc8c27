// Package vaultpki is the provider of CAs in the PKI secrets engine of HashiCorp
// Vault and of OpenBao, which has the same HTTP API.
//
//	POST /v1/auth/{appRoleMount}/login      a token for credentials: account_id is
//	                                        the role id, pwd the secret id (AppRole)
//	POST /v1/{mount}/sign/{role}            a certificate as the role allows
//	POST /v1/{mount}/sign-verbatim/{role}   a certificate as the CSR asks
//	POST /v1/{mount}/revoke
//
// The pages are "PKI secrets engine (API)" and "AppRole auth method (API)" of
// Vault's documentation. It reads front to back:
//
//	vaultpki.go   what a provider is made of; a step; what cannot be done
//	request.go    what is sent
//	session.go    who sends it: tokens, kept in memory only
//	answer.go     what comes back, and what it means
//	revoke.go
//
// # Where a crash leaves things
//
// Vault signs at once and has no name for a request, so nothing is remembered
// here and nothing can be looked at first: a step whose answer was lost signs
// again. The certificate that got lost costs nothing, nobody has its private key
// but this vault, and one of all is accepted. That is why there is neither
// something to cancel nor something to release.
package vaultpki
