package scripted

// Scripts, and what is refused in them.

import (
	"strings"
	"testing"
	"time"
)

func TestParseScript(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]script{
		"":                               {},
		" , \n":                          {},
		"issue":                          {},
		"hold":                           {action: hold},
		"issue-after=30s":                {after: 30 * time.Second},
		"issue-after=1h30m":              {after: 90 * time.Minute},
		"issue-after=0s":                 {},
		"reject=Name not allowed, sorry": {action: reject, message: "Name not allowed, sorry"},
		"error=The CA is away. ":         {action: fail, message: "The CA is away."},
		`reject="no, hold" `:             {action: reject, message: "no, hold"},
		"ignore-cancel":                  {ignoreCancel: true},
		"ignore-cancel issue-after=5s":   {after: 5 * time.Second, ignoreCancel: true},
		"hold,ignore-cancel":             {action: hold, ignoreCancel: true},
		`error="no" , ignore-cancel`:     {action: fail, message: "no", ignoreCancel: true},
		"ignore-cancel,reject=no hold":   {action: reject, message: "no hold", ignoreCancel: true},
		"reject=a=b":                     {action: reject, message: "a=b"},
	} {
		if got, err := parseScript(in); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", in, got, err, want)
		}
	}
}

func TestParseScriptRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"wait":                   `unknown word "wait"`,
		"hold wait":              `unknown word "wait"`,
		"Hold":                   `unknown word "Hold"`,
		"hold=5s":                `unknown word "hold=5s"`,
		"issue=x":                `unknown word "issue=x"`,
		"ignore-cancel=x":        `unknown word "ignore-cancel=x"`,
		"=":                      `unknown word ""`,
		"hold issue":             "hold and issue exclude each other",
		"issue-after=1s hold":    "issue-after and hold exclude each other",
		`reject="a" error="b"`:   "reject and error exclude each other",
		"hold hold":              "hold and hold exclude each other",
		"issue-after":            "issue-after= is not a duration",
		"issue-after=30":         "issue-after=30 is not a duration",
		"issue-after=-1s":        "issue-after=-1s is not a duration",
		"issue-after=721h":       "issue-after=721h is not a duration",
		"reject":                 "reject needs a message",
		"error=":                 "error needs a message",
		`reject=""`:              "reject needs a message",
		`reject="no`:             "the quote after reject= has no end",
		"issue-after=5s,reject=": "reject needs a message",
	} {
		_, err := parseScript(in)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
	// What is unknown is named with what is known.
	_, err := parseScript("wait")
	for word := range strings.SplitSeq(words, ", ") {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not list %s", err, word)
		}
		if _, err := parseScript(word); err != nil {
			t.Errorf("listed word %s: %v", word, err)
		}
	}
}

func FuzzParseScript(f *testing.F) {
	for _, seed := range []string{"", "hold", "ignore-cancel issue-after=5s", `reject="no", ignore-cancel`, "error=no, hold"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseScript(text)
		if err != nil {
			return
		}
		if (s.action == reject || s.action == fail) != (s.message != "") || s.after < 0 || s.after > maxAfter || s.after > 0 && s.action != issue {
			t.Fatalf("%q: %+v", text, s)
		}
	})
}
