package main

// Programs that the tests start: this test program in other roles.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

// childVariable makes the test binary stand for the localcloud command, or with
// the argument testHandler for the app's handler.
const childVariable = "LOCALCLOUD_TEST_CHILD"

// testHandler is the argument with which the test binary is the handler.
const testHandler = "test-handler"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(childVariable) == "":
		os.Exit(m.Run())
	case len(os.Args) > 1 && os.Args[1] == testHandler:
		handler()
	default:
		main()
	}
}

// seen is what the handler of the tests saw of a request, and its settings.
type seen struct {
	Host, URI string
	Header    http.Header
	Settings  map[string]string
}

// handler answers what it sees, and ends when it is told to.
func handler() {
	settings := map[string]string{}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		settings[name] = value
	}
	err := http.ListenAndServe("127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"), http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/certificates/crash" {
				os.Exit(3)
			}
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(seen{r.Host, r.RequestURI, r.Header, settings})
		}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
