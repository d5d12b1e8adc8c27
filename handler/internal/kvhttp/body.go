package kvhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// decode reads the body, a JSON object, into in. Fields that in does not have
// are ignored, and so is the Content-Type, which not every client sends.
func decode(body io.Reader, in any) error {
	data, err := io.ReadAll(body)
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(large.Limit)
	}
	data = bytes.TrimSpace(data)
	switch {
	case err != nil:
		return badRequest("The request body ended early.")
	case len(data) == 0:
		return badRequest("The request body is missing.")
	case !utf8.Valid(data):
		return badRequest("The request body is not UTF-8.")
	case data[0] != '{':
		return badRequest("The request body must be a JSON object.")
	}
	blankTrailingCommas(data)
	err = json.Unmarshal(data, in)
	if refused, ok := errors.AsType[*failure](err); ok {
		return refused
	}
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return badProperty(kind.Field, "a JSON "+kind.Value+" in the place of another type")
	}
	if err != nil {
		return badRequest("The request body is not valid JSON: %v.", err)
	}
	return nil
}

// blankTrailingCommas overwrites each comma that follows the last value of an
// object or array. The live service reads over it, and samples in its
// documentation have it.
func blankTrailingCommas(data []byte) {
	comma := -1     // place of a comma after a value, while only space has followed
	last := byte(0) // the last byte that was not a space
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '}', ']':
			if comma >= 0 {
				data[comma] = ' '
			}
		}
		comma = -1
		if c == ',' && !strings.ContainsRune("{[,:", rune(last)) {
			comma = i
		}
		last = c
	}
}
