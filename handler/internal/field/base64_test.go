package field_test

import (
	"testing"

	"github.com/certwright/certwright/handler/internal/field"
)

func TestBase64(t *testing.T) {
	t.Parallel()
	const want = "\xfb\xff\xbf\x00"
	for _, text := range []string{"+/+/AA==", "-_-_AA==", "+/+/AA", "-_-_AA", "+/-_\r\nAA==\n"} {
		if got, ok := field.Base64(text); !ok || string(got) != want {
			t.Errorf("%q: %x, %v", text, got, ok)
		}
	}
	for _, text := range []string{"%", "A", "AA!A", "-----"} {
		if got, ok := field.Base64(text); ok {
			t.Errorf("%q is read as %x", text, got)
		}
	}
}
