package field

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsText reports whether s is UTF-8 without control characters.
func IsText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
