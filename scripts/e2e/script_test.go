package e2e

// Scripts of requests and answers.

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/smallstep/pkcs7"
)

// A script is requests with the answers that they must get, as text:
//
//	# comment
//	> METHOD /path      a request; its body follows
//	~ METHOD /path      a request that is sent until it gets the answer that follows
//	< STATUS            the answer; fields of its header follow, then its body
//	! sign CSR LEAF [ISSUING [ROOT]]   a CA signs the CSR; the certificates in base64 of DER
//	! base64 TEXT NEW   TEXT in base64
//	! pem CERTIFICATE... NEW     the certificates as one PEM text
//	! pkcs7 CERTIFICATE... NEW   the certificates in a PKCS #7 bundle, in base64
//
// <word> in an answer stands for any text where it comes first, and for that same
// text from then on, also in requests. Different words are never the same id. Of the
// header only the fields that are listed are compared; "Name:" with nothing behind
// it says that there is no such field. A body is compared if there is one, to the
// byte after indenting.
type script struct {
	file  string
	steps []scriptStep
}

// scriptStep is a line that starts with >, ~, < or !, and what follows it.
type scriptStep struct {
	number int // of the line
	kind   byte
	line   string
	rest   []string
}

// readScript reads a file of testdata.
func readScript(t testing.TB, file string) script {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := script{file: file}
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
		case len(line) > 2 && strings.ContainsRune("><~!", rune(line[0])) && line[1] == ' ':
			s.steps = append(s.steps, scriptStep{number: i + 1, kind: line[0], line: line[2:]})
		case strings.TrimSpace(line) != "" && len(s.steps) > 0:
			last := &s.steps[len(s.steps)-1]
			last.rest = append(last.rest, line)
		}
	}
	if len(s.steps) == 0 {
		t.Fatalf("%s has no steps", file)
	}
	return s
}

// sender sends one request to the vault.
type sender func(ctx context.Context, method, target, body string) (answer, error)

// answerWait is how long a script waits for the answer to a request with ~: for
// a few ticks.
const answerWait = 2 * time.Minute

// run runs the script to its end, or to the first answer that differs.
func (s script) run(t testing.TB, send sender) {
	t.Helper()
	run := &scriptRun{t: t, send: send, words: map[string]string{}}
	for i := 0; i < len(s.steps); i++ {
		step := s.steps[i]
		at := fmt.Sprintf("%s:%d", s.file, step.number)
		if step.kind == '!' {
			if err := run.make(strings.Fields(step.line)); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			continue
		}
		if step.kind == '<' || i+1 == len(s.steps) || s.steps[i+1].kind != '<' {
			t.Fatalf("%s: a request and its answer must follow each other", at)
		}
		i++
		exchange := func() error { return run.exchange(step, s.steps[i]) }
		if step.kind == '~' {
			eventually(t, answerWait, at, exchange)
		} else if err := exchange(); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
	}
}

type scriptRun struct {
	t     testing.TB
	send  sender
	words map[string]string // without the brackets
}

// exchange sends a request and compares its answer.
func (run *scriptRun) exchange(request, expected scriptStep) error {
	method, target, _ := strings.Cut(run.fill(request.line), " ")
	got, err := run.send(run.t.Context(), method, target, run.fill(strings.Join(request.rest, "\n")))
	if err != nil {
		return err
	}
	return run.compare(got, expected.line, expected.rest)
}

// compare compares an answer and takes the texts of new words from it, if it fits.
func (run *scriptRun) compare(a answer, status string, rest []string) error {
	got, want := []string{strconv.Itoa(a.status)}, []string{status}
	body := slices.IndexFunc(rest, func(line string) bool { return strings.HasPrefix(line, "{") })
	if body < 0 {
		body = len(rest)
	}
	for _, line := range rest[:body] {
		name, value, _ := strings.Cut(line, ":")
		want = append(want, name+": "+strings.TrimSpace(value))
		got = append(got, name+": "+a.header.Get(name))
	}
	if body < len(rest) {
		var indented bytes.Buffer
		if err := json.Indent(&indented, a.body, "", "  "); err != nil {
			return fmt.Errorf("the body %q: %w", a.body, err)
		}
		got = append(got, strings.Split(indented.String(), "\n")...)
	} else if a.status != 0 && strconv.Itoa(a.status) != status {
		got = append(got, string(bytes.TrimSpace(a.body))) // says why
	}
	words := maps.Clone(run.words)
	for i, line := range append(want, rest[body:]...) {
		if i >= len(want) {
			want = append(want, line)
		}
		if i < len(got) {
			want[i] = bind(words, line, got[i])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("the answer differs (-want +got):\n%s", diff)
	}
	run.words = words
	return nil
}

// make makes a new word of others.
func (run *scriptRun) make(args []string) error {
	name := func(i int) string { return strings.Trim(args[i], "<>") }
	known := func(args []string) (texts []string, ders []byte, err error) {
		for _, arg := range args {
			text, ok := run.words[strings.Trim(arg, "<>")]
			if !ok {
				return nil, nil, fmt.Errorf("%s is not known", arg)
			}
			der, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return nil, nil, fmt.Errorf("decoding %s: %w", arg, err)
			}
			texts, ders = append(texts, text), append(ders, der...)
		}
		return texts, ders, nil
	}
	if len(args) < 3 {
		return fmt.Errorf("%q is not a step", args)
	}
	last := len(args) - 1
	if args[0] == "sign" {
		_, csr, err := known(args[1:2])
		if err != nil {
			return err
		}
		ca := need(run.t, certificateAuthority)
		leaf, err := ca.sign(csr)
		if err != nil {
			return err
		}
		for i, der := range [][]byte{leaf, ca.issuing, ca.root}[:last-1] {
			run.words[name(i+2)] = base64.StdEncoding.EncodeToString(der)
		}
		return nil
	}
	texts, ders, err := known(args[1:last])
	if err != nil {
		return err
	}
	switch args[0] {
	case "base64":
		run.words[name(last)] = base64.StdEncoding.EncodeToString([]byte(texts[0]))
	case "pem":
		run.words[name(last)] = strings.ReplaceAll(pemText(texts), "\n", `\n`) // within a JSON string
	case "pkcs7":
		bundle, err := pkcs7.DegenerateCertificate(ders)
		if err != nil {
			return fmt.Errorf("making a bundle: %w", err)
		}
		run.words[name(last)] = base64.StdEncoding.EncodeToString(bundle)
	default:
		return fmt.Errorf("%q is not a step", args[0])
	}
	return nil
}

// pemText is certificates, each DER in base64, as PEM.
func pemText(certificates []string) string {
	var b strings.Builder
	for _, text := range certificates {
		der, _ := base64.StdEncoding.DecodeString(text) // was decoded before
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return b.String()
}

var (
	scriptWord = regexp.MustCompile(`<[a-z0-9_]+>`)
	scriptID   = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// fill puts the texts of known words into s.
func (run *scriptRun) fill(s string) string { return fill(run.words, s) }

func fill(words map[string]string, s string) string {
	return scriptWord.ReplaceAllStringFunc(s, func(w string) string {
		if text, ok := words[strings.Trim(w, "<>")]; ok {
			return text
		}
		return w
	})
}

// bind fills a line of an expected answer and learns new words from the line that
// came, if that fits.
func bind(words map[string]string, want, got string) string {
	want = fill(words, want)
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
		if scriptID.MatchString(texts[i+1]) && slices.Contains(slices.Collect(maps.Values(words)), texts[i+1]) {
			return want // an id that has another word
		}
		words[strings.Trim(name, "<>")] = texts[i+1]
	}
	return fill(words, want)
}
