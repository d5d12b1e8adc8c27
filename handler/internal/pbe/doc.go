// Package pbe is encryption and authentication by password: the schemes of PKCS #5
// (RFC 8018), PKCS #12 (RFC 7292 appendix B) and RFC 9579 in which private keys
// and certificates come in files.
//
// A file says itself how much work its password costs. What it says is read once,
// by what carries it out, and each derivation is paid from one Work before it
// starts: iterations over all levels of a file, its MAC and every attempt at it
// count together.
package pbe
