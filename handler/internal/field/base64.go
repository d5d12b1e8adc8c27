package field

import (
	"encoding/base64"
	"strings"
)

// Base64 reads binary as clients send it: base64 of either alphabet (RFC 4648
// sections 4 and 5), with or without padding and line breaks.
func Base64(text string) ([]byte, bool) {
	text = strings.Join(strings.Fields(text), "")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	out, err := base64.RawStdEncoding.DecodeString(text)
	return out, err == nil
}
