package settings_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
)

// TestFilesFolder: every file that a setting names is looked for in the folder of
// CERTWRIGHT_FILES when its name is relative, and where it says otherwise.
func TestFilesFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for kind, members := range map[string]string{
		"acme":     `"directory": "https://a.example.com", "http01": true, "roots": FILE`,
		"acme ":    `"directory": "https://a.example.com", "hooks": [{"zones": ["example.com"], "url": "https://d.example.com", "roots": FILE}]`,
		"webhook":  `"url": "https://a.example.com", "roots": FILE`,
		"vaultpki": `"url": "https://a.example.com", "role": "web", "roots": FILE`,
		"stepca":   `"url": "https://a.example.com", "roots": FILE`,
		"digicert": `"roots": FILE`,
	} {
		for file, want := range map[string]string{"in/none.pem": filepath.Join(dir, "in", "none.pem"), "/nowhere/none.pem": "/nowhere/none.pem"} {
			setting := `{"CA": {"` + strings.TrimSpace(kind) + `": {` + strings.ReplaceAll(members, "FILE", `"`+file+`"`) + `}}}`
			s, err := settingstest.Parse(settingstest.Development, map[string]string{"CERTWRIGHT_FILES": dir, "CERTWRIGHT_PROVIDERS": setting})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.OpenProviders(settings.Backend{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want an error with %q", setting, err, want)
			}
		}
	}
	s, err := settingstest.Parse(settingstest.Development, map[string]string{
		"CERTWRIGHT_FILES": dir, "CERTWRIGHT_KEK_FILE": "keys/kek", "KEY": "a key of thirty-two bytes or more",
		"CERTWRIGHT_PROVIDERS": `{"CA": {"privateca": {"chain": "ca.pem", "keyFile": "ca.key"}}}`,
		"CERTWRIGHT_EVENTS": `{"siem": {"https": {"url": "https://siem.example.com", "keySetting": "KEY", "roots": "siem.pem"}},
			"mail": {"smtp": {"server": "smtp.example.com", "from": "a@example.com", "roots": "smtp.pem"}}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	ca := s.Providers["ca"].PrivateCA
	for got, want := range map[string]string{
		ca.Chain: "ca.pem", ca.KeyFile: "ca.key", s.KEKFile: "keys/kek",
		s.Destinations["siem"].HTTPS.Roots: "siem.pem", s.Destinations["mail"].SMTP.Roots: "smtp.pem",
	} {
		if got != filepath.Join(dir, want) {
			t.Errorf("%q is looked for at %q", want, got)
		}
	}
}
