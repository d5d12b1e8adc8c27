package policy

// IsName reports whether s can be the name of a certificate or of an issuer: 1
// to 127 letters, digits and hyphens.
func IsName(s string) bool {
	ok := len(s) >= 1 && len(s) <= 127
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	return ok
}
