// Command handler is Certwright's custom handler: the process that the Azure
// Functions host starts and sends every request and timer call to. It serves Key
// Vault's certificates API and advances pending operations. With arguments it is
// a tool for operators instead:
//
//	handler ca make|import|show   the private CAs of the settings
//	handler migrate               how far what an earlier release stored is in this one's form
//	handler ops COMMAND           what is stuck at CAs, and what to do about it
//	handler check                 what is wrong with the settings
//	handler version, handler help
//	handler rewrap                the root of all keys, after its key-encryption key changed
//
// Its settings are those of the package settings.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/certwright/certwright/handler/internal/settings"
)

// version is Certwright's own, as clients log it
// (x-ms-keyvault-service-version).
const version = "0.1.0"

func main() {
	// No signal is handled: every write is safe against a kill at any moment,
	// and the Functions host restarts a handler that a signal ended but not one
	// that exited with 0.
	err := run(context.Background(), os.Args[1:], terminal{os.Getenv, os.Stdin, os.Stdout})
	if err != nil {
		fmt.Fprintln(os.Stderr, "handler:", err)
	}
	os.Exit(exitCode(err))
}

// serve serves until the listener fails. It touches no network before it listens.
func serve(getenv func(string) string) error {
	cfg, err := readSettings(getenv)
	if err != nil {
		return err
	}
	// Standard output: the host takes every line of standard error for an error.
	log := newLog(cfg, os.Stdout)
	warnOfProxy(getenv, log)
	handler, err := newFunctions(cfg, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port)))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go handler.app.Open(context.Background())
	log.Info("listening", "address", listener.Addr().String(), "development", cfg.Development())
	return server.Serve(listener)
}

func readSettings(getenv func(string) string) (settings.Settings, error) {
	cfg, err := settings.Parse(getenv)
	if err != nil {
		return cfg, fmt.Errorf("settings: %w", err)
	}
	return cfg, nil
}

// Times of the HTTP server. The Functions host keeps idle connections for a
// minute and ends a call after two (functionTimeout in host.json).
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 60 * time.Second
	writeTimeout      = 150 * time.Second
	idleTimeout       = 3 * time.Minute
)
