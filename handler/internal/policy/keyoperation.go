package policy

// KeyOperation is an operation of a key, as a JWK's key_ops call it.
type KeyOperation string

// Operations that encrypt or decrypt. WrapKey and UnwrapKey do the same as Encrypt
// and Decrypt, under other permissions.
const (
	KeyEncrypt   KeyOperation = "encrypt"
	KeyDecrypt   KeyOperation = "decrypt"
	KeyWrapKey   KeyOperation = "wrapKey"
	KeyUnwrapKey KeyOperation = "unwrapKey"
)
