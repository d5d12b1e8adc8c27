package e2e

// The matrix of clients and operations in docs/conformance.md.

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Outcomes of an operation, as the programs print them. What a program does not
// tell of has failed; the operations of a client that is missing are not run.
const (
	passed     = "passed"
	failed     = "failed"
	notOffered = "not offered"
	notRun     = "not run"
)

// outcome is what became of an operation, and why.
type outcome struct{ what, why string }

// column is what a client's programs told.
type column struct {
	client   string
	versions []string // packages with their versions
	missing  string   // why the client was not run
	outcomes map[string]outcome
}

// read reads what a program printed. Names of certificates begin with the prefix,
// which is left out of what is kept, to be the same in every run.
func (c *column) read(output, prefix string) error {
	for line := range strings.Lines(output) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(fields) != 3 {
			continue // a warning
		}
		name, what, why := fields[0], fields[1], strings.ReplaceAll(fields[2], prefix, "e2e")
		switch {
		case name == "version":
			if version := what + " " + why; !slices.Contains(c.versions, version) {
				c.versions = append(c.versions, version)
			}
		case !knownOperation(name):
			return fmt.Errorf("the client tells of %q, which is not an operation", name)
		case what != passed && what != failed && what != notOffered:
			return fmt.Errorf("the client says that %q has %q", name, what)
		default:
			c.outcomes[name] = outcome{what, why}
		}
	}
	return nil
}

func knownOperation(name string) bool {
	for _, section := range operations {
		if slices.Contains(section.names, name) {
			return true
		}
	}
	return false
}

// of is what became of an operation.
func (c *column) of(name string) outcome {
	if c.missing != "" {
		return outcome{notRun, c.missing}
	}
	if o, ok := c.outcomes[name]; ok {
		return o
	}
	return outcome{failed, "the client's program ended before"}
}

// matrix is one column for each client.
type matrix []*column

const matrixPreface = `# Conformance

Written by ` + "`make conformance`" + `: Microsoft's clients, unmodified, from their registries in the
versions below, against the local cloud. They reach ` + "`" + vaultURL + "`" + `
by its proxy, get their tokens from its identity endpoint, and verify the challenge's
resource (all but the Azure CLI, which never does). Each calls every method of its
certificate client, waits for its pollers' ends, and checks what comes back.

"Not offered" is what a client has no way to ask for. A client that is "not run" was missing
where this was written; that says nothing about it.

`

// String is the document.
func (m matrix) String() string {
	var b strings.Builder
	b.WriteString(matrixPreface + "## Clients\n\n| client | packages |\n|---|---|\n")
	for _, c := range m {
		packages := strings.Join(c.versions, ", ")
		if c.missing != "" {
			packages = notRun + ": " + c.missing
		}
		fmt.Fprintf(&b, "| %s | %s |\n", c.client, packages)
	}
	var notes []string
	for _, section := range operations {
		fmt.Fprintf(&b, "\n## %s\n\n| operation |", section.title)
		for _, c := range m {
			fmt.Fprintf(&b, " %s |", c.client)
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(m)) + "\n")
		for _, name := range section.names {
			fmt.Fprintf(&b, "| %s |", name)
			for _, c := range m {
				o := c.of(name)
				fmt.Fprintf(&b, " %s |", o.what)
				if o.what != passed && c.missing == "" {
					notes = append(notes, fmt.Sprintf("- %s, %s: %s: %s", name, c.client, o.what, shorten(o.why)))
				}
			}
			b.WriteString("\n")
		}
	}
	if len(notes) > 0 {
		b.WriteString("\n## Notes\n\n" + strings.Join(notes, "\n") + "\n")
	}
	return b.String()
}

// longestWhy is the length that a reason may have in the document.
const longestWhy = 240

// changing is what is different in every run: versions, request ids, times.
var changing = regexp.MustCompile(`[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b1[0-9]{9}\b|0x[0-9a-f]+`)

func shorten(why string) string {
	why = changing.ReplaceAllString(why, "…")
	if runes := []rune(why); len(runes) > longestWhy {
		why = string(runes[:longestWhy]) + "…"
	}
	return why
}

// documented reads the outcomes of a client from a document: an empty map when the
// client is not in it.
func documented(document, client string) map[string]string {
	outcomes := map[string]string{}
	at := -1
	for line := range strings.Lines(document) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 3 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[1] == "operation" {
			at = slices.Index(cells, client)
		} else if at > 0 && at < len(cells) && knownOperation(cells[1]) {
			outcomes[cells[1]] = cells[at]
		}
	}
	return outcomes
}

// TestMatrix: what programs print comes back from the document that is made of it.
func TestMatrix(t *testing.T) {
	t.Parallel()
	ran := &column{client: "Ran", outcomes: map[string]outcome{}}
	output := "a warning\n" +
		"version\tpackage\t1.2.3\n" +
		"merge\tpassed\t\n" +
		"purge\tfailed\tprefix-self is there with 0123456789abcdef0123456789abcdef\n" +
		"import PEM\tnot offered\tthe client cannot\n"
	if err := ran.read(output, "prefix"); err != nil {
		t.Fatal(err)
	}
	document := matrix{ran, &column{client: "Missing", missing: "not installed"}}.String()
	for name, want := range map[string]string{"merge": passed, "purge": failed, "import PEM": notOffered, "recover": failed} {
		if got := documented(document, "Ran")[name]; got != want {
			t.Errorf("%s: the document says %q, want %q", name, got, want)
		}
		if got := documented(document, "Missing")[name]; got != notRun {
			t.Errorf("%s of a client that is missing: the document says %q", name, got)
		}
	}
	if diff := cmp.Diff(map[string]string{}, documented(document, "Another")); diff != "" {
		t.Errorf("a client that is not in the document (-want +got):\n%s", diff)
	}
	for _, want := range []string{"package 1.2.3", "not run: not installed", "- purge, Ran: failed: e2e-self is there with …\n"} {
		if !strings.Contains(document, want) {
			t.Errorf("the document does not say %q:\n%s", want, document)
		}
	}
	for _, bad := range []string{"unheard of\tpassed\t\n", "merge\tperhaps\t\n"} {
		if err := ran.read(bad, "prefix"); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
