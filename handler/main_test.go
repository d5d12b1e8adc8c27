package main

// The program in development, as a process that serves.

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/settings/settingstest"
	"github.com/certwright/certwright/scripts/localcloud/azurite"
)

// nowhere is a connection string of storage where nobody listens.
const nowhere = "AccountName=devstoreaccount1;AccountKey=bm90IGEga2V5;" +
	"BlobEndpoint=http://127.0.0.1:1/devstoreaccount1;TableEndpoint=http://127.0.0.1:1/devstoreaccount1"

// startDevelopment serves the whole program with storage at a connection string,
// and with token keys where nobody listens.
func startDevelopment(t *testing.T, storage string) *httptest.Server {
	t.Helper()
	cfg, err := settingstest.Parse(settingstest.Development, map[string]string{
		"CERTWRIGHT_KEK_FILE":                  settingstest.KEK(t),
		"CERTWRIGHT_TOKEN_KEYS_URL":            "http://127.0.0.1:1/keys",
		"CERTWRIGHT_STORAGE_CONNECTION_STRING": storage,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := newFunctions(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// TestAnswersWithoutNetwork: the host's question whether the process is ready,
// the health function and the challenge need neither storage nor token keys.
func TestAnswersWithoutNetwork(t *testing.T) {
	t.Parallel()
	server := startDevelopment(t, nowhere)
	for _, test := range []struct {
		method, path string
		status       int
		challenge    string
	}{
		{"GET", "/", 200, ""},
		{"GET", "/health", 200, ""},
		{"GET", "/.well-known/acme-challenge/not.a.token", 404, ""},
		{"GET", "/.well-known/security.txt", 404, ""},
		{"GET", "/.well-known/acme-challenge/DGyRejmCefe7v4NfDGDKfA", 404, ""}, // no provider proves names by HTTP-01
		{"POST", "/certificates/web/create?api-version=7.4", 401, `Bearer authorization="https://localhost:8443/tenant", resource="https://vault.azure.net"`},
	} {
		status, header, _ := send(t, test.method, server.URL+test.path, "")
		if got := header.Get("WWW-Authenticate"); status != test.status || got != test.challenge {
			t.Errorf("%s %s: %d with challenge %q, want %d with %q", test.method, test.path, status, got, test.status, test.challenge)
		}
	}
}

// timerCall is the body of the host's call of a timer.
const timerCall = `{"Data":{"timer":{"Schedule":{},"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{}}`

// TestTimer: the host is told that a tick succeeded, in the form that it wants.
func TestTimer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	storage, err := azurite.Start(ctx, azurite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer storage.Stop()
	server := startDevelopment(t, storage.ConnectionString())
	status, header, answer := send(t, "POST", server.URL+"/AdvanceIssuance", timerCall)
	if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "application/json") || !strings.Contains(answer, `"Logs":[]`) {
		t.Errorf("%d %v %s", status, header, answer)
	}
}

// TestTimerThatCannotRead: a tick that cannot read its due work must not look
// like one that had none.
func TestTimerThatCannotRead(t *testing.T) {
	t.Parallel()
	server := startDevelopment(t, nowhere)
	for body, want := range map[string]string{
		timerCall: "reading due work",
		"{}":      "timer",
	} {
		status, header, answer := send(t, "POST", server.URL+"/AdvanceIssuance", body)
		if status != 500 || !strings.HasPrefix(header.Get("Content-Type"), "application/json") || !strings.Contains(answer, want) {
			t.Errorf("timer call with %s: %d %s, want 500 in JSON with %q", body, status, answer, want)
		}
	}
}

func send(t *testing.T, method, url, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(answer)
}
