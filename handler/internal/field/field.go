// Package field says what is wrong with a field of a request.
package field

import (
	"fmt"
	"strings"
)

// Error refuses a value that a caller sent. On the wire it is a BadParameter
// (package kvhttp).
type Error struct {
	Field  string // path of the field as on the wire, e.g. policy.x509_props.subject; empty: Detail is the whole message
	Detail string // the offending value, where that helps, and the rule: "0 entries: must be 1 to 100"
	Err    error  // cause, for the log only
}

func (e *Error) Error() string {
	s := "bad parameter"
	for _, part := range []string{e.Field, e.Detail} {
		if part != "" {
			s += ": " + part
		}
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// maxEcho bounds what a refusal repeats of one value, in bytes.
const maxEcho = 256

// Errorf refuses the field. Texts and errors among args are cut to 256 bytes.
func Errorf(field, format string, args ...any) *Error {
	short := make([]any, len(args))
	for i, arg := range args {
		switch arg := arg.(type) {
		case string:
			short[i] = Cut(arg, maxEcho)
		case error:
			short[i] = Cut(arg.Error(), maxEcho)
		default:
			short[i] = arg
		}
	}
	return &Error{Field: field, Detail: fmt.Sprintf(format, short...)}
}

// Cut is s, cut to at most limit bytes of valid UTF-8.
func Cut(s string, limit int) string {
	return strings.ToValidUTF8(s[:min(len(s), limit)], "")
}
