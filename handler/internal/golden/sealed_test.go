package golden_test

import (
	"slices"
	"strings"
	"testing"
)

// sealedToday is what values are sealed under since 0.1.0: a password is for an
// issuer object and its provider instead of a name, and backups have a new format.
func sealedToday(t *testing.T, old []string) []string {
	t.Helper()
	var lines []string
	for _, line := range old {
		switch {
		case strings.HasPrefix(line, "credential|"):
			continue
		case strings.HasPrefix(line, "backup|"):
			line = strings.Replace(line, "V1", "V2", 1)
		}
		lines = append(lines, line)
	}
	for _, provider := range []string{"acme", "digicert", "webhook"} {
		lines = append(lines, "password|<id>:"+provider+"|<id>")
	}
	slices.Sort(lines)
	return lines
}
