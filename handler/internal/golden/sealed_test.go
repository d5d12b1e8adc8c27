package golden_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// newMembers are those that documents have since 0.1.0 for what can be trusted of
// them: the sum of a version's chain blob, and for whom a password is sealed.
var newMembers = []*regexp.Regexp{
	regexp.MustCompile(`[.]chainSum = <bytes>$`),
	regexp.MustCompile(`^i:[^ ]+ \[\] [.]passwordBound = true$`),
}

// withoutNew is a shape without the new members, each of which must be there.
func withoutNew(t *testing.T, lines []string) []string {
	t.Helper()
	for _, member := range newMembers {
		n := len(lines)
		if lines = slices.DeleteFunc(lines, member.MatchString); len(lines) == n {
			t.Errorf("nothing stored matches %s", member)
		}
	}
	return lines
}

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
