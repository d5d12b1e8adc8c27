package scripted

import (
	"fmt"
	"strings"
	"time"
)

// script says what becomes of a request.
type script struct {
	action       action
	after        time.Duration // issue: so long after the request was created
	message      string        // reject, fail
	ignoreCancel bool
}

// action is what is done with a request; the zero value issues.
type action uint8

const (
	issue action = iota
	hold
	reject
	fail
)

// words is what an error lists.
const words = "hold, issue, issue-after=30s, reject=message, error=message, ignore-cancel"

// maxAfter bounds issue-after; an operation does not live longer.
const maxAfter = 30 * 24 * time.Hour

// parseScript reads a script; the package comment says what it may be.
func parseScript(text string) (script, error) {
	var s script
	decided := "" // the word that set the action
	for {
		text = strings.TrimLeft(text, separators)
		if text == "" {
			return s, nil
		}
		var word, argument string
		var err error
		if word, argument, text, err = nextWord(text); err != nil {
			return script{}, err
		}
		if word == "ignore-cancel" && argument == "" {
			s.ignoreCancel = true
			continue
		}
		if err := s.decide(word, argument); err != nil {
			return script{}, err
		}
		if decided != "" {
			return script{}, fmt.Errorf("%s and %s exclude each other", decided, word)
		}
		decided = word
	}
}

const separators = " ,\t\r\n"

// nextWord splits text, which starts with no separator, into its first word,
// the word's argument behind =, and what follows.
func nextWord(text string) (word, argument, rest string, err error) {
	end := strings.IndexAny(text, separators+"=")
	if end < 0 {
		return text, "", "", nil
	}
	word, rest = text[:end], text[end:]
	argument, ok := strings.CutPrefix(rest, "=")
	switch {
	case !ok:
		return word, "", rest, nil
	case strings.HasPrefix(argument, `"`):
		argument, rest, ok = strings.Cut(argument[1:], `"`)
		if !ok {
			return "", "", "", fmt.Errorf("the quote after %s= has no end", word)
		}
	case word == "reject" || word == "error":
		argument, rest = strings.TrimRight(argument, separators), ""
	default:
		rest = ""
		if end := strings.IndexAny(argument, separators); end >= 0 {
			argument, rest = argument[:end], argument[end:]
		}
	}
	return word, argument, rest, nil
}

// decide sets what becomes of a request by one word.
func (s *script) decide(word, argument string) error {
	switch {
	case word == "issue" && argument == "":
		s.action = issue
	case word == "hold" && argument == "":
		s.action = hold
	case word == "issue-after":
		d, err := time.ParseDuration(argument)
		if err != nil || d < 0 || d > maxAfter {
			return fmt.Errorf("issue-after=%s is not a duration such as 30s, 5m or 1h30m, at most %s", argument, maxAfter)
		}
		s.action, s.after = issue, d
	case (word == "reject" || word == "error") && argument == "":
		return fmt.Errorf("%s needs a message: %s=message", word, word)
	case word == "reject":
		s.action, s.message = reject, argument
	case word == "error":
		s.action, s.message = fail, argument
	default:
		if argument != "" {
			word += "=" + argument
		}
		return fmt.Errorf("unknown word %q; a script is made of %s", word, words)
	}
	return nil
}
