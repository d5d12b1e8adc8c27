package settings_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
)

const docs = "../../../docs/"

// examples are what a pattern's group finds in pages.
func examples(t *testing.T, pattern string, pages ...string) []string {
	t.Helper()
	var found []string
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			found = append(found, match[1])
		}
	}
	return found
}

// TestExamplesOfProviders: every example of CERTWRIGHT_PROVIDERS in the docs opens,
// and each kind of CA has one with its own member.
func TestExamplesOfProviders(t *testing.T) {
	t.Parallel()
	all := examples(t, "(?s)```json\n(.*?)```", docs+"issuers.md")
	all = append(all, examples(t, "CERTWRIGHT_PROVIDERS='([^']*)'", docs+"issuers.md", docs+"local-cloud.md", docs+"webhook.md", "../../../README.md")...)
	kinds := make(map[string]bool)
	for _, example := range all {
		dir := t.TempDir()
		s, err := settingstest.Parse(settingstest.Development, map[string]string{
			"CERTWRIGHT_PROVIDERS": example, "CERTWRIGHT_FILES": dir, "DNS_HOOK_TOKEN": "not-a-real-token",
		})
		if err != nil {
			t.Errorf("%v:\n%s", err, example)
			continue
		}
		root, _ := settingstest.Root(t)
		for _, p := range s.Providers {
			for kind, has := range map[string]bool{
				"acme": p.ACME != nil, "webhook": p.Webhook != nil, "privateca": p.PrivateCA != nil,
				"vaultpki": p.VaultPKI != nil, "stepca": p.StepCA != nil, "digicert": p.DigiCert != nil,
			} {
				kinds[kind] = kinds[kind] || has
			}
			for _, file := range settings.FilesOf(p) {
				if !strings.HasPrefix(file, dir) {
					t.Errorf("the file %s is not relative:\n%s", file, example)
				} else if p.PrivateCA == nil { // whose files handler ca makes
					if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
						t.Fatal(err)
					}
					if err := os.Rename(settingstest.Certificates(t, root.Raw), file); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if _, err := s.OpenProviders(settings.Backend{Credential: scopeToken{}, Log: slog.New(slog.DiscardHandler)}); err != nil {
			t.Errorf("%v:\n%s", err, example)
		}
	}
	for kind, has := range kinds {
		if !has {
			t.Errorf("there is no example of %s", kind)
		}
	}
	if len(kinds) != 6 {
		t.Errorf("%d kinds of CA were looked for", len(kinds))
	}
}

// TestExamplesOfEvents: so do those of CERTWRIGHT_EVENTS.
func TestExamplesOfEvents(t *testing.T) {
	t.Parallel()
	all := examples(t, "(?s)```json\n(\\{[^`]*?\"keySetting\".*?)```", docs+"events.md")
	all = append(all, examples(t, "CERTWRIGHT_EVENTS='([^']*)'", docs+"events.md", docs+"local-cloud.md")...)
	if len(all) == 0 {
		t.Error("there are none")
	}
	for _, example := range all {
		changes := map[string]string{"CERTWRIGHT_EVENTS": example, "FLOW_URL": "https://flow.example.com", "SMTP_PASSWORD": "not-a-real-password"}
		for _, key := range []string{"SIEM_KEY", "FLOW_KEY", "LOCAL_EVENTS_KEY"} {
			changes[key] = "a key of thirty-two bytes or more"
		}
		if _, err := settingstest.Parse(settingstest.Development, changes); err != nil {
			t.Errorf("%v:\n%s", err, example)
		}
	}
}
