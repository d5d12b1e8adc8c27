package settings_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
)

// TestAwaitedCA: a CA that was not made yet keeps nothing from starting, certifies
// nothing, says what to do, and is a CA as soon as its files are there.
func TestAwaitedCA(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	chain, keyFile := filepath.Join(dir, "chain.pem"), filepath.Join(dir, "ca.key")
	text, err := json.Marshal(map[string]any{"privateca": map[string]any{"chain": chain, "keyFile": keyFile}})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	issuer, err := openProvider(t, settings.Backend{Log: slog.New(slog.NewTextHandler(&log, nil))}, string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"level=WARN", "handler ca make", "provider=ca", "chain=" + chain} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log does not say %q: %s", part, &log)
		}
	}
	asked := policy.Policy{}
	asked.X509.Subject = "CN=www.example.com"
	checker, awaited := issuer.(provider.PolicyChecker), issuer.(*settings.AwaitedCA)
	refused, ok := errors.AsType[*field.Error](checker.CheckPolicy(provider.Issuer{}, asked))
	if !ok || refused.Field != "policy.issuer.name" || !strings.Contains(refused.Detail, "handler ca make") || strings.Contains(refused.Detail, dir) {
		t.Errorf("before it is made: %v", refused)
	}
	if _, outcome := issuer.Step(t.Context(), provider.Request{}, nil); outcome.Kind != provider.OutcomeRetry {
		t.Errorf("a step before it is made: %+v", outcome)
	}
	if err := awaited.Revoke(t.Context(), provider.Issuer{}, nil, 1); err == nil {
		t.Error("revoked before it is made")
	}
	if !awaited.Instant() {
		t.Error("a key in a file is not instant")
	}
	// The chain without its key is not enough.
	root, made := settingstest.Root(t)
	if err := os.Rename(settingstest.Certificates(t, root.Raw), chain); err != nil {
		t.Fatal(err)
	}
	if _, err := awaited.Issuer(); err == nil {
		t.Error("there is a CA without a key")
	}
	if err := os.Rename(made, keyFile); err != nil {
		t.Fatal(err)
	}
	if err := checker.CheckPolicy(provider.Issuer{}, asked); err != nil {
		t.Errorf("once it is made: %v", err)
	}
	if ca, err := awaited.Issuer(); err != nil || !ca.Certificate().Equal(root) {
		t.Errorf("the CA is %v, %v", ca, err)
	}
}
