// Package policy is what a certificate is asked to be: the policy of Key Vault's
// API, its defaults and rules, and the key pair, CSR and certificate that follow
// from it. It has no state, and knows neither storage nor CAs.
//
// A caller's policy comes as Params, in which nil means not sent. New, Update and
// Imported complete and check it; a Policy that they return is valid and is stored
// as it is. So nothing behind them checks a policy again. Errors about a caller's
// values are a *field.Error, with the path of the field as the REST pages write it.
//
//	policy.go               Policy, and Params as sent
//	new.go imported.go      how one is made: by create and update; from an imported certificate
//	subject.go attribute.go the subject, an X.500 name as text
//	sans.go names.go        subject alternative names; the general names of a policy
//	keys.go                 key pairs
//	extensions.go csr.go    the requested extensions, and the CSR
//	template.go             a certificate made of a CSR, for CAs that sign here
//	objectname.go           names of certificates and issuers in the vault
package policy
