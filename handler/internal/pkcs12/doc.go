// Package pkcs12 reads and writes PKCS #12 files (RFC 7292), which Windows calls
// PFX.
//
// It is a reader and a writer of our own because those that exist do not do what a
// vault's clients need. golang.org/x/crypto/pkcs12 is frozen. go-pkcs12 of
// sslmate.com cannot write the null password, under which Key Vault hands out its
// secrets, nor the certificates from root to leaf. It reads DER alone, while
// Bouncy Castle and NSS write BER; at most two parts, while GnuTLS makes one of
// each certificate; no character beyond the Basic Multilingual Plane in a password;
// and it bounds nothing that a file asks for. The primitives are those of the
// standard library and golang.org/x/crypto.
//
// Files are read for import from whoever may import, so what they cost is bounded
// by pbe.Work, and their nesting and number of parts by constants here.
package pkcs12
