package field_test

// The text of errors, and the cutting of long values.

import (
	"errors"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/field"
)

func TestErrorfCutsLongValues(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 200) // 400 bytes
	e := field.Errorf("policy.issuer.name", "%q, %v, %d", long, errors.New(long), 7)
	half := strings.Repeat("é", 128)
	if want := `"` + half + `", ` + half + `, 7`; e.Field != "policy.issuer.name" || e.Detail != want {
		t.Errorf("got %q of %q, want %q", e.Detail, e.Field, want)
	}
}

func TestCutLeavesValidUTF8(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "abc": "abc", "abcd": "abcd", "abcde": "abcd", "abcé": "abc", "a\xffb": "ab"} {
		if got := field.Cut(in, 4); got != want {
			t.Errorf("Cut(%q, 4): got %q, want %q", in, got, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	cause := errors.New("odd length")
	for want, e := range map[string]*field.Error{
		"bad parameter: tags: must be present":      {Field: "tags", Detail: "must be present"},
		"bad parameter: no certificate: odd length": {Detail: "no certificate", Err: cause},
	} {
		if e.Error() != want {
			t.Errorf("got %q, want %q", e, want)
		}
	}
	if !errors.Is(&field.Error{Err: cause}, cause) {
		t.Error("the cause is not unwrapped")
	}
}
