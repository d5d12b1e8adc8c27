// Package functionshost runs a function app the way the Azure Functions host
// (v4) runs one whose functions live in a custom handler, on one machine and
// without Azure's tools. It stands in for `func start`: it starts the handler
// process, routes HTTP requests to it, fires its timers and ends it without
// notice.
//
// It keeps to what a handler can see of the real host: the environment of the
// process, readiness, the table of exit codes, routing by the order of
// function names, what each way of dispatching does to a request, the JSON of
// an invocation and the strictness about its reply, timer schedules with past
// due runs, the admin endpoints, function keys and limits. Hosts before
// mid-2025 only forward, newer ones can proxy; [Config.Mode] selects.
//
// [Start] runs an app. [ReadApp] only reads it, to ask which function gets
// which request.
//
// # Where it differs on purpose
//
//   - A reply that leaves the real host waiting until the function times out
//     (an empty 2xx to an invocation) fails at once, with a log line saying so.
//   - Timer status is kept in files, not in a blob, and there is no lease: run
//     one host per app.
//   - On Linux the handler's port is held for it, and the handler is killed
//     even if this program is.
//   - HTTP_PROXY and ALL_PROXY among the settings are ignored. The real host sends
//     its calls of the handler through that proxy unless NO_PROXY names 127.0.0.1.
//     People who work behind a proxy have them set; the handler warns of them.
//
// The tests compare the bytes on the wire with recordings of the real host's parts
// (testdata/vectors). They list every difference, which comes of Go's HTTP library,
// with its reason.
//
// # What is not here
//
// Triggers other than HTTP and timer, retry policies, route segments that mix
// text and parameters, and the constraints datetime, decimal, double, float, file
// and nonfile: a function that needs one is dropped with an error, as the host
// drops a broken one. CORS, HTTPS, extension bundles, drain, file watching and
// customHandler.http.routes are ignored.
package functionshost
