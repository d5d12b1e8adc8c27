// Package privateca is the provider of a CA of one's own: it signs certificates
// with a key that is sealed in storage or stays in Azure Key Vault. It reads front
// to back:
//
//	privateca.go state.go    what a provider is made of; a step, and what is remembered
//	profile.go names.go      what it certifies: the profile, the names
//	authority.go             what the CA's own chain allows
//	request.go               what is asked for, in a policy or in a CSR
//	crl.go                   revocation
//	key.go keyvaultkey.go    where the key is
//	make.go                  how a CA comes to be
//
// # What is certified
//
// The subject, its alternative names and its public key are the CSR's. All else
// is decided here: key usages are those that are asked for and that the profile
// has and the key can be used for, extended ones those that are asked for and
// that the profile and all CAs above have; the validity ends with the profile's
// limit and with the first CA above. What a verifier would not accept (name
// constraints, expired CAs) is not certified: the verifier of the standard library
// is asked, on a likeness of the chain, when an operation is created and again
// before the signature. A chain whose path lengths do not allow for the CA is
// refused when the issuer is made.
//
// # Where a crash leaves things
//
// The serial number and the time are saved by a step of their own, before
// anything is signed. The same step, run again or by two workers, then signs the
// same certificate: byte for byte with a software key, whose signatures are
// deterministic (RFC 6979 for ECDSA); with an EC key in Key Vault the signature
// differs, and the vault takes one of them. A serial number is never used for two
// different certificates.
package privateca
