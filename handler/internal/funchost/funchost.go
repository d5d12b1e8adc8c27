// Package funchost knows what the Azure Functions host sends to a custom handler
// (https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers).
//
// The host starts the handler, tells it a port, and sends two kinds of request
// there, over plain HTTP from the same machine. HTTP functions arrive as the
// client sent them, forwarded or proxied. A timer arrives as
//
//	POST /<function> HTTP/1.1
//	Content-Type: application/json; charset=utf-8
//	X-Azure-Functions-InvocationId: 24ad4c06-24ad-4e5b-8294-3da9714877e9
//
//	{"Data":{"<binding>":{"Schedule":{"AdjustForDST":true},
//	  "ScheduleStatus":{"Last":"2026-09-24T13:08:00+00:00",
//	    "Next":"2026-09-24T13:09:00+00:00",
//	    "LastUpdated":"2026-09-24T13:08:00+00:00"},
//	  "IsPastDue":false}},
//	 "Metadata":{...}}
//
// and wants an answer of its own form ([Reply]). Nothing authenticates a timer's
// request but its form and that only the host can reach the port. Both kinds
// share one space of paths, so [IsTimer] is strict.
package funchost

import (
	"fmt"
	"strconv"
)

// defaultPort serves a handler that was started by hand, without a host.
const defaultPort = 8080

// Port returns the port to listen on, at 127.0.0.1, from the environment that
// the host gives: FUNCTIONS_CUSTOMHANDLER_PORT, or FUNCTIONS_HTTPWORKER_PORT of
// older hosts. It is 8080 when neither is set, and an error when one that is set
// is not a port.
func Port(getenv func(string) string) (int, error) {
	for _, name := range []string{"FUNCTIONS_CUSTOMHANDLER_PORT", "FUNCTIONS_HTTPWORKER_PORT"} {
		value := getenv(name)
		if value == "" {
			continue
		}
		port, err := strconv.ParseUint(value, 10, 16)
		if err != nil || port == 0 {
			return 0, fmt.Errorf("%s is %q, want a port from 1 to 65535", name, value)
		}
		return int(port), nil
	}
	return defaultPort, nil
}
