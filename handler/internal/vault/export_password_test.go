package vault

// ResealIssuer makes the row of an issuer anew.
var ResealIssuer = (*Vault).resealIssuer
