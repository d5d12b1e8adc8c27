package azstore

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
)

// escapeJSON is a pipeline policy that writes characters outside ASCII as
// escapes (RFC 8259 section 7), which changes nothing for a JSON reader. Azurite
// 3.37.0 decodes each chunk of an entity that arrives on its own, and replaces a
// character of which one chunk ends in the middle.
type escapeJSON struct{}

// Do implements policy.Policy.
func (escapeJSON) Do(req *policy.Request) (*http.Response, error) {
	contentType := req.Raw().Header.Get("Content-Type")
	if req.Body() == nil || !strings.HasPrefix(contentType, "application/json") {
		return req.Next()
	}
	text, err := io.ReadAll(req.Body())
	if err != nil {
		return nil, err
	}
	if err := req.RewindBody(); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(text, func(b byte) bool { return b >= utf8.RuneSelf }) {
		escaped := streaming.NopCloser(strings.NewReader(escape(string(text))))
		if err := req.SetBody(escaped, contentType); err != nil {
			return nil, err
		}
	}
	return req.Next()
}

// escape returns JSON text in ASCII.
func escape(text string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	b.Grow(2 * len(text))
	for _, r := range text {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			b.Write([]byte{'\\', 'u', hex[unit>>12], hex[unit>>8&0xf], hex[unit>>4&0xf], hex[unit&0xf]})
		}
	}
	return b.String()
}
