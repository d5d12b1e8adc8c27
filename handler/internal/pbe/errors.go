package pbe

import (
	"errors"
	"fmt"
)

// Why something cannot be opened. Besides these there are *UnsupportedError,
// *MalformedError and the errors of a context.
var (
	ErrWrongPassword   = errors.New("the password is not the one of the content")
	ErrMissingPassword = errors.New("the content is protected by a password, and none was given")
	ErrTooCostly       = fmt.Errorf("the password costs more work than is done: one part may have %d iterations, all together some %d", maxIterations, MaxHashes/2)
)

// UnsupportedError names an algorithm that is not read.
type UnsupportedError struct {
	What string // what the algorithm is for: "encryption scheme"
	Name string // an OID in dots, or the name that a PEM header has
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("the %s %s is not supported", e.What, e.Name)
}

// MalformedError names the part that does not have the form that its format
// demands.
type MalformedError struct {
	Part string
	Err  error // may be nil
}

func (e *MalformedError) Error() string {
	text := fmt.Sprintf("the %s cannot be read", e.Part)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *MalformedError) Unwrap() error { return e.Err }

// Refused is why no form of a password opens something.
func Refused(password string) error {
	if password == "" {
		return ErrMissingPassword
	}
	return ErrWrongPassword
}
