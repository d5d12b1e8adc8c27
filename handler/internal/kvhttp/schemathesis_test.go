package kvhttp

// The API against its OpenAPI document, by Schemathesis.

import (
	"bytes"
	"crypto"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestSchemathesis has Schemathesis send what openapi.json allows, and what it
// does not, and compare the answers with it. None is a 5xx, none is undocumented,
// what breaks the schema is refused, and what is refused changes nothing.
func TestSchemathesis(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	t.Parallel()
	program := schemathesis(t)
	s := newService(t, options{newKey: rsaPooledKey, destinations: map[string]vault.Destination{"siem": new(away)}})
	s.complete("mycert1")
	s.create("pending", "Unknown")
	s.script("myca", "hold")
	s.complete("removed")
	s.tick()
	s.must("DELETE", "/certificates/removed"+v74, "")
	id := s.must("GET", "/certificates/mycert1"+v74, "").field(t, "id").(string)
	letter := s.firstUndelivered()
	dir := t.TempDir()
	document := withExamples(t, dir, map[string][]string{
		"name":        {"mycert1", "pending", "removed"},
		"issuer":      {"myca"},
		"version":     {id[strings.LastIndex(id, "/")+1:]},
		"event":       {letter["event_id"].(string)},
		"destination": {"siem"},
	})
	server := httptest.NewServer(guarded(t, s))
	t.Cleanup(server.Close)
	cmd := exec.CommandContext(t.Context(), program, "run", document,
		"--url", server.URL,
		"--header", "Authorization: Bearer "+s.token,
		"--checks", "all",
		// What the schema allows may be refused for what it means.
		"--exclude-checks", "positive_data_acceptance",
		"--max-examples", "5",
		"--seed", "1",
		"--workers", "1",
		"--warnings", "off",
	)
	cmd.Dir = dir // where it leaves its notes
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("schemathesis: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	if after := s.firstUndelivered(); letter["given_up"] == nil || after["event_id"] != letter["event_id"] || after["given_up"] != nil {
		t.Errorf("the dead letter %v was not retried: %v", letter, after)
	}
}

// withExamples writes a copy of openapi.json with examples of parameters that
// lead to something, and returns its name.
func withExamples(t *testing.T, dir string, examples map[string][]string) string {
	t.Helper()
	data, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	parameters := document["components"].(map[string]any)["parameters"].(map[string]any)
	for name, values := range examples {
		parameter := parameters[name].(map[string]any)
		delete(parameter, "example")
		list := object{}
		for _, v := range values {
			list[v] = object{"value": v}
		}
		parameter["examples"] = list
	}
	if data, err = json.Marshal(document); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "openapi.json")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// guarded is the service's handler, one request at a time, none of which may be
// refused and change something.
func guarded(t *testing.T, s *service) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		before := s.store.Contents()
		answer := &statusRecorder{ResponseWriter: w}
		s.handler.ServeHTTP(answer, r)
		if answer.status >= 400 && !reflect.DeepEqual(before, s.store.Contents()) {
			t.Errorf("%s %s was refused with %d but changed the store", r.Method, r.URL, answer.status)
		}
	})
}

// statusRecorder notes the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// rsaPooledKey makes no RSA key of its own, whatever its size: the large ones
// take seconds.
func rsaPooledKey(p policy.KeyProperties) (crypto.Signer, error) {
	if p.Curve == "" {
		return signingKey(), nil
	}
	return policy.GenerateKey(p)
}

// schemathesis is the program, which is installed from its registry into a
// folder that git ignores.
func schemathesis(t *testing.T) string {
	t.Helper()
	const requirements = "testdata/schemathesis/requirements.txt"
	want, err := os.ReadFile(requirements)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Abs("../../../.local/schemathesis")
	if err != nil {
		t.Fatal(err)
	}
	program, installed := filepath.Join(folder, "bin", "schemathesis"), filepath.Join(folder, "installed.txt")
	if have, err := os.ReadFile(installed); err == nil && bytes.Equal(have, want) {
		return program
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"python3", "-m", "venv", "--clear", folder},
		{filepath.Join(folder, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements},
	} {
		if out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("Schemathesis cannot be installed: %v: %s", err, out)
		}
	}
	if err := os.WriteFile(installed, want, 0o644); err != nil {
		t.Fatal(err)
	}
	return program
}
