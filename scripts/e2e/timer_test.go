package e2e

// The timer cannot be reached by clients.

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// envelope is what the host sends to the timer's function.
const envelope = `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},` +
	`"Metadata":{"sys":{"MethodName":"AdvanceIssuance","UtcNow":"2026-01-01T00:00:00Z","RandGuid":"00000000-0000-0000-0000-000000000000"}}}`

// oddTargets is how many of the request targets that spelling finds are tried, besides
// the ones that are thought of.
const oddTargets = 300

// TestNoURLReachesTheTimer: whatever target clients write, in whatever way the host
// passes it on, the handler does not take it for the host's own call of the timer.
func TestNoURLReachesTheTimer(t *testing.T) {
	t.Parallel()
	b := need(t, sharedBackend)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := b.start(t, hostConfig{vaultID: newVaultID(), mode: mode})
			// A tick would take this operation's step, and wait for it to be due.
			h.api.must(t, http.MethodPut, "/certificates/issuers/ca"+apiVersion, `{"provider":"Test"}`)
			h.api.must(t, http.MethodPost, "/certificates/waiting/create"+apiVersion, policy("ca"))
			status := func() string {
				var pending operation
				if err := h.api.must(t, http.MethodGet, "/certificates/waiting/pending"+apiVersion, "").into(&pending); err != nil {
					t.Fatal(err)
				}
				return pending.Status
			}
			door := h.frontDoor(t, "")
			const vault = "myvault.vault.azure.net"
			// Who is on the machine, and so needs no front door, may as well write to
			// the handler's own port; the front door's clients may forge its address.
			for _, way := range []struct{ address, host string }{
				{h.URL(), vault}, {door.url, vault}, {door.url, fmt.Sprintf("127.0.0.1:%d", h.HandlerPort())},
			} {
				for _, target := range targets(rand.New(rand.NewPCG(1, 2))) {
					if err := sendRaw(t.Context(), way.address, way.host, target); err != nil {
						t.Fatalf("%q at %s: %v", target, way.address, err)
					}
				}
			}
			if got := status(); got != "inProgress" {
				t.Errorf("the operation is %s: a request has reached the timer", got)
			}
			if refused := len(h.handler.records("timer call refused")); refused != 0 {
				t.Errorf("%d requests were taken for the timer's call, and refused by their bodies", refused)
			}
			if err := h.trigger(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, time.Minute, "the host's own tick", func() error {
				if got := status(); got != "completed" {
					return fmt.Errorf("the operation is %s", got)
				}
				return nil
			})
		})
	}
}

// targets are request targets that some part on the way may take for the timer's.
func targets(random *rand.Rand) []string {
	found := []string{
		"/AdvanceIssuance",
		"/AdvanceIssuance/",
		"//AdvanceIssuance",
		"/advanceissuance",
		"/ADVANCEISSUANCE",
		"/AdvanceIssuance?x=y",
		"/AdvanceIssuance%20",
		"/AdvanceIssuance%00",
		"/AdvanceIssuance;x",
		"/%41dvanceIssuance",
		"/%2FAdvanceIssuance",
		"/api/AdvanceIssuance",
		"/admin/AdvanceIssuance",
		"/runtime/webhooks/AdvanceIssuance",
		"/certificates/../AdvanceIssuance",
		"/certificates/./../AdvanceIssuance",
		"/certificates/a/../../AdvanceIssuance",
		"/certificates/%2e%2e/AdvanceIssuance",
		"/certificates/..%2FAdvanceIssuance",
		"/certificates/..%5CAdvanceIssuance",
		`/certificates/..\AdvanceIssuance`,
		"/certificates/%252e%252e%252fAdvanceIssuance",
		"/certificates/..%2FAdvanceIssuance%3F",
		"/certificates/..%2FAdvanceIssuance%23",
		"/certificates/..%5CAdvanceIssuance%3Fx",
		"/certificates/%c0%ae%c0%ae/AdvanceIssuance",
		"/certificates/%u002e%u002e/AdvanceIssuance",
		"/.well-known/../AdvanceIssuance",
		"/.well-known/..%5c..%5cAdvanceIssuance",
		"/health/../AdvanceIssuance",
		"http://127.0.0.1/AdvanceIssuance",
		"http://AdvanceIssuance/AdvanceIssuance",
		"/?/AdvanceIssuance",
		"/certificates?/../AdvanceIssuance",
	}
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	for len(found) < oddTargets {
		var target strings.Builder
		target.WriteString(pick("/certificates", "/Certificates", "/deletedcertificates", "/secrets", "/keys", "/operations", "/.well-known", "/health", ""))
		for range 1 + random.IntN(3) {
			target.WriteString(pick("/", "//", "%2F", "%2f", "%5C", "%5c", `\`, "/;/", "/a/", "/%20/"))
			target.WriteString(pick("..", ".", "%2e%2e", ".%2E", "%2E.", "...", "", "a"))
		}
		target.WriteString(pick("/", "//", "%2F", "%5C", `\`, "/./"))
		target.WriteString(pick("AdvanceIssuance", "AdvanceIssuance", "%41dvanceIssuance", "advanceissuance"))
		target.WriteString(pick("", "", "", "/", "?", "%3F", "#", "%23", "%20", ";", "?api-version=7.4", "%00", "%2F"))
		if !slices.Contains(found, target.String()) {
			found = append(found, target.String())
		}
	}
	return found
}

// sendRaw posts the timer's envelope to a target as it is written, and waits for
// the answer, whatever that is. It sends no User-Agent and everything else that the
// host's own call has.
func sendRaw(ctx context.Context, address, host, target string) error {
	at, err := url.Parse(address)
	if err != nil {
		return err
	}
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(requestLimit)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json; charset=utf-8\r\n"+
		"X-Azure-Functions-InvocationId: 00000000-0000-0000-0000-000000000000\r\nX-Original-URL: /AdvanceIssuance\r\n"+
		"X-Rewrite-URL: /AdvanceIssuance\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", target, host, len(envelope), envelope)
	if err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
