package kvhttp

// Scripts of requests and answers, in testdata.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestScripts runs testdata/*.txt: requests with the answers that they must get,
// byte for byte after indenting. The format:
//
//	# comment
//	> METHOD /path           a request; its body follows
//	< STATUS                 its answer; headers follow, then the body
//	! wait 2s                time passes
//	! tick                   due work is done
//	! issue CSR X5C          a CA signs the CSR
//
// <word> in an answer stands for any text at its first use and for that same
// text from then on, also in requests. Of the headers only those that are listed
// are compared; "Name:" with nothing behind says that the header is absent. A
// body is compared if there is one.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			run := &scriptRun{t: t, file: file, service: newService(t, options{}), words: map[string]string{}}
			for _, step := range parseScript(string(text)) {
				run.step(step)
			}
			if run.requests == 0 {
				t.Errorf("%s has no requests", file)
			}
		})
	}
}

// scriptStep is a line that starts with >, < or !, and what follows it.
type scriptStep struct {
	number int // of the line
	kind   byte
	line   string
	rest   []string
}

func parseScript(text string) []scriptStep {
	var steps []scriptStep
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
		case len(line) > 2 && strings.ContainsRune("><!", rune(line[0])) && line[1] == ' ':
			steps = append(steps, scriptStep{number: i + 1, kind: line[0], line: line[2:]})
		case len(steps) > 0 && strings.TrimSpace(line) != "":
			last := &steps[len(steps)-1]
			last.rest = append(last.rest, line)
		}
	}
	return steps
}

type scriptRun struct {
	t        *testing.T
	file     string
	service  *service
	words    map[string]string
	last     answer
	requests int
}

func (run *scriptRun) step(s scriptStep) {
	run.t.Helper()
	at := fmt.Sprintf("%s:%d", run.file, s.number)
	args := strings.Fields(run.fill(s.line))
	switch {
	case s.kind == '>':
		run.last = run.service.do(args[0], args[1], run.fill(strings.Join(s.rest, "\n")))
		run.requests++
	case s.kind == '<':
		run.expect(at, args[0], s.rest)
	case args[0] == "wait":
		d, err := time.ParseDuration(args[1])
		if err != nil {
			run.t.Fatalf("%s: %v", at, err)
		}
		run.service.clock.Advance(d)
	case args[0] == "tick":
		run.service.tick()
	case args[0] == "issue":
		name := strings.Trim(strings.Fields(s.line)[2], "<>")
		run.words[name] = issue(run.t, args[1], run.service.clock.Now())
	default:
		run.t.Fatalf("%s: %q is not a step", at, s.line)
	}
}

// expect compares the last answer.
func (run *scriptRun) expect(at, status string, rest []string) {
	run.t.Helper()
	got := []string{strconv.Itoa(run.last.status)}
	want := []string{status}
	body := slices.IndexFunc(rest, func(line string) bool { return strings.HasPrefix(line, "{") })
	if body < 0 {
		body = len(rest)
	}
	for _, line := range rest[:body] {
		name, value, _ := strings.Cut(line, ":")
		want = append(want, name+": "+strings.TrimSpace(value))
		got = append(got, name+": "+run.last.header.Get(name))
	}
	var indented bytes.Buffer
	if body < len(rest) {
		if err := json.Indent(&indented, []byte(run.last.body), "", "  "); err != nil {
			run.t.Fatalf("%s: body %q: %v", at, run.last.body, err)
		}
		got = append(got, strings.Split(indented.String(), "\n")...)
	}
	want = append(want, rest[body:]...)
	for i := range want {
		if i < len(got) {
			want[i] = run.bind(want[i], got[i])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		run.t.Fatalf("%s: answer differs (-want +got):\n%s", at, diff)
	}
}

var (
	scriptWord = regexp.MustCompile(`<[a-z0-9_]+>`)
	scriptID   = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// fill puts the texts of known words into s.
func (run *scriptRun) fill(s string) string {
	return scriptWord.ReplaceAllStringFunc(s, func(w string) string {
		if text, ok := run.words[strings.Trim(w, "<>")]; ok {
			return text
		}
		return w
	})
}

// bind fills a line of an expected answer, taking the texts of new words from
// the line that came. Two words are never the same id.
func (run *scriptRun) bind(want, got string) string {
	want = run.fill(want)
	names := scriptWord.FindAllString(want, -1)
	if len(names) == 0 {
		return want
	}
	pattern := "^" + regexp.QuoteMeta(want) + "$"
	for _, name := range names {
		pattern = strings.Replace(pattern, name, `([0-9A-Za-z+/=_-]+)`, 1)
	}
	texts := regexp.MustCompile(pattern).FindStringSubmatch(got)
	if texts == nil {
		return want
	}
	for i, name := range names {
		if scriptID.MatchString(texts[i+1]) && slices.Contains(slices.Collect(maps.Values(run.words)), texts[i+1]) {
			return want
		}
		run.words[strings.Trim(name, "<>")] = texts[i+1]
	}
	return run.fill(want)
}
