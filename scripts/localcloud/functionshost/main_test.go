package functionshost_test

// The handler that the tests' host starts: this test program.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

// handlerVariable makes the test binary a custom handler.
const handlerVariable = "FUNCTIONSHOST_TEST_HANDLER"

// hostVariable makes the test binary a program that runs a host: its value is
// the app's root.
const hostVariable = "FUNCTIONSHOST_TEST_HOST"

func TestMain(m *testing.M) {
	if os.Getenv(handlerVariable) != "" {
		handlerMain()
		return
	}
	if root := os.Getenv(hostVariable); root != "" {
		hostMain(root)
	}
	os.Exit(m.Run())
}

// hostMain runs a host until it is killed, and prints the handler's port when
// that is ready.
func hostMain(root string) {
	host, err := functionshost.Start(context.Background(), functionshost.Config{
		Root: root, Address: "127.0.0.1:0", HandlerOutput: io.Discard,
		Environ: []string{handlerVariable + "=1", "FUNCTIONS_WORKER_RUNTIME=custom", "AzureWebJobsStorage=x"},
	})
	if err == nil {
		err = host.Ready(context.Background())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("port", host.HandlerPort())
	select {}
}

// received is what the test handler got, echoed to the client or, for an
// invocation, printed to stdout.
type received struct {
	Method     string
	RequestURI string
	Host       string
	Header     http.Header
	Encoding   []string // Transfer-Encoding
	Length     int64    // Content-Length, -1 if unknown
	Body       string
	PID        int
}

// handlerMain is a custom handler whose environment says how it behaves:
//
//	START_LOG   file to append a line to at every start
//	START_EXITS "code,code": exit codes of the first starts
//	MUTE        do not listen
//	SLAM        listen, and close every connection unanswered
//	REPLY       what to answer to invocations: see reply
func handlerMain() {
	if code := startExit(); code >= 0 {
		fmt.Fprintf(os.Stderr, "one\ntwo\nthree\nexiting with %d\n", code)
		os.Exit(code)
	}
	if os.Getenv("MUTE") != "" {
		select {}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening")
	for os.Getenv("SLAM") != "" {
		if conn, err := listener.Accept(); err == nil {
			conn.Close()
		}
	}
	fmt.Fprintln(os.Stderr, http.Serve(listener, http.HandlerFunc(handle)))
	os.Exit(1)
}

// startExit notes the start and returns the code to exit with, or -1.
func startExit() int {
	path := os.Getenv("START_LOG")
	if path == "" {
		return -1
	}
	past, _ := os.ReadFile(path)
	if err := os.WriteFile(path, append(past, '.'), 0o600); err != nil {
		panic(err)
	}
	codes := strings.Split(os.Getenv("START_EXITS"), ",")
	if len(past) >= len(codes) || codes[len(past)] == "" {
		return -1
	}
	code, err := strconv.Atoi(codes[len(past)])
	if err != nil {
		panic(err)
	}
	return code
}

func handle(w http.ResponseWriter, r *http.Request) {
	if act(r) == "refuse" { // without reading
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, "no")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	got := received{
		Method: r.Method, RequestURI: r.RequestURI, Host: r.Host, Header: r.Header,
		Encoding: r.TransferEncoding, Length: r.ContentLength, Body: string(body), PID: os.Getpid(),
	}
	text, err := json.Marshal(got)
	if err != nil {
		panic(err)
	}
	if r.Method == http.MethodPost && (r.RequestURI == "/Tick" || r.RequestURI == "/Json") {
		fmt.Printf("invoked %s\n", text)
		reply(w)
		return
	}
	switch act(r) {
	case "exit":
		code, _ := strconv.Atoi(r.URL.Query().Get("code"))
		fmt.Fprintln(os.Stderr, "told to exit")
		os.Exit(code)
	case "hang":
		fmt.Println("hanging")
		select {
		case <-r.Context().Done():
			fmt.Println("abandoned")
			panic(http.ErrAbortHandler)
		case <-time.After(time.Minute):
		}
	case "once": // hangs in the first process only
		if past, _ := os.ReadFile(os.Getenv("START_LOG")); len(past) == 1 {
			fmt.Println("hanging")
			select {}
		}
	case "stream":
		io.WriteString(w, "first\n")
		w.(http.Flusher).Flush()
		fmt.Println("streaming")
		<-r.Context().Done()
		return
	case "headers":
		for _, value := range []string{"a=1", "b=2"} {
			w.Header().Add("Set-Cookie", value)
		}
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Www-Authenticate", `Bearer authorization="x", resource="y"`)
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Alt-Svc", "clear")
		w.WriteHeader(http.StatusFound)
		io.WriteString(w, "not gzip at all")
		return
	case "write":
		fmt.Fprintf(os.Stdout, "to stdout\n")
		fmt.Fprintf(os.Stderr, "to stderr\na warning\n")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

func act(r *http.Request) string { return r.URL.Query().Get("do") }

// reply answers an invocation.
func reply(w http.ResponseWriter) {
	send := func(contentType string, status int, body string) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		} else {
			w.Header()["Content-Type"] = nil
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
	switch how := os.Getenv("REPLY"); how {
	case "":
		send("application/json", 200, `{}`)
	case "empty":
		send("", 200, "")
	case "no content":
		send("", 204, "")
	case "null":
		send("application/json", 200, "null")
	case "text":
		send("text/plain; charset=utf-8", 200, `{}`)
	case "untyped":
		send("", 200, `{}`)
	case "problem":
		send("application/problem+json", 200, `{}`)
	case "array":
		send("application/json", 200, `[]`)
	case "broken":
		send("application/json", 200, `{`)
	case "failure":
		send("application/json", 500, `{"Logs":["lost"]}`)
	case "redirect":
		w.Header().Set("Location", "/elsewhere")
		send("application/json", 307, `{}`)
	case "hang":
		select {}
	default:
		send("application/json; charset=utf-8", 200, how)
	}
}
