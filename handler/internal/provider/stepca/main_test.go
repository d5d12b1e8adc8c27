package stepca_test

// step-ca, started once for all tests.

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/scripts/localcloud/pebble"
	local "github.com/certwright/certwright/scripts/localcloud/stepca"
	"github.com/certwright/certwright/scripts/localcloud/supervise/supervisetest"
)

// What tests share. Everything is real; tests keep apart by names.
var (
	ca         *local.Server
	challenges *pebble.Challenges // DNS
	tokens     = acme.Challenges{Store: new(memory.Store)}
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), supervisetest.StartLimit)
	defer cancel()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	web := &http.Server{Handler: http.HandlerFunc(serveToken)}
	go web.Serve(listener)
	defer web.Close()
	if challenges, err = pebble.StartChallenges(ctx, pebble.ChallengesConfig{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer challenges.Stop()
	ca, err = local.Start(ctx, local.Config{
		MaxValidity: 10 * 366 * 24 * time.Hour,
		Resolver:    challenges.DNS(),
		HTTPPort:    listener.Addr().(*net.TCPAddr).Port,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer ca.Stop()
	return m.Run()
}

// serveToken serves HTTP-01 as the app does.
func serveToken(w http.ResponseWriter, r *http.Request) {
	text, err := tokens.Get(r.Context(), r.URL.Path[len("/.well-known/acme-challenge/"):])
	if err != nil {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, text)
}
