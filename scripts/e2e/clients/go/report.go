package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// report prints what became of an operation. What needs its result fails by itself.
func report(name string, err error) {
	var missing notOffered
	switch {
	case err == nil:
		fmt.Printf("%s\tpassed\t\n", name)
	case errors.As(err, &missing):
		fmt.Printf("%s\tnot offered\t%s\n", name, missing)
	default:
		fmt.Printf("%s\tfailed\t%s\n", name, strings.Join(strings.Fields(err.Error()), " "))
	}
}

// notOffered says why the client has no way to ask for something.
type notOffered string

func (n notOffered) Error() string { return string(n) }

// reportVersions prints the versions of the modules with these last names.
func reportVersions(modules ...string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	for _, m := range info.Deps {
		if name := path.Base(m.Path); slices.Contains(modules, name) {
			fmt.Printf("version\t%s\t%s\n", name, m.Version)
		}
	}
}

// expect returns the first mismatch.
func expect(checks ...error) error {
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
}

// is checks that something is what it must be; a pointer stands for what it points to.
func is(what string, got, want any) error {
	if got, want := plain(got), plain(want); !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: got %s, want %s", what, text(got), text(want))
	}
	return nil
}

// text shows a value with all that its pointers point to.
func text(value any) string {
	if b, err := json.Marshal(value); err == nil {
		return string(b)
	}
	return fmt.Sprint(value)
}

// plain follows a pointer, to nil when it is one.
func plain(value any) any {
	v := reflect.ValueOf(value)
	if v.Kind() != reflect.Pointer {
		return value
	}
	if v.IsNil() {
		return nil
	}
	return v.Elem().Interface()
}

// refused checks that a call was refused with the status and the code, and that the
// message has all of saying in it, in any case.
func refused(err error, status int, code string, saying ...string) error {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || answer.StatusCode != status || answer.ErrorCode != code {
		return fmt.Errorf("got %w, want it refused with %d %s", err, status, code)
	}
	for _, text := range saying {
		if !strings.Contains(strings.ToLower(answer.Error()), strings.ToLower(text)) {
			return fmt.Errorf("got %w, want it to say %q", err, text)
		}
	}
	return nil
}

// absent checks that something was not found.
func absent(err error, code string) error {
	return refused(err, http.StatusNotFound, code, "not found")
}
