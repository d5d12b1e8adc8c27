// Package stepca is the provider of Smallstep's step-ca through its own API, with
// a JWK provisioner. (Its ACME provisioners are CAs of the package acme.)
//
//	POST /1.0/sign     a certificate for a CSR and a token
//	POST /1.0/revoke
//
// The holder of a JWK provisioner's private key makes the tokens: they
// name the subject and the names of one CSR, are bound to it, and are good once.
// An issuer object has the provisioner's name as account_id and its private key,
// a JWK in JSON, as pwd. It reads front to back:
//
//	stepca.go     what a provider is made of; a step; what cannot be done
//	request.go    what is sent
//	token.go      who sends it
//	answer.go     what comes back, and what it means
//	revoke.go
//
// The API is documented by its implementation: api/sign.go, api/revoke.go and
// authority/provisioner/jwk.go in github.com/smallstep/certificates, v0.30.2.
//
// # Where a crash leaves things
//
// The CA signs at once and has no name for a request, so nothing is remembered
// here and nothing can be looked at first: a step whose answer was lost signs
// again, with a new token. The certificate that got lost costs nothing, nobody has
// its private key but this vault, and one of all is accepted. That is why there is
// neither something to cancel nor something to release.
package stepca
