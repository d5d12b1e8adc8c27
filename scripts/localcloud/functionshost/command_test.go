package functionshost

// The handler's command line, settings and output.

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSplitCommandLine(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"":                nil,
		"  a \t b ":       {"a", "b"},
		`"a b" c`:         {"a b", "c"},
		`a"b c"d`:         {"ab cd"},
		`"" x`:            {"", "x"},
		`say \"hi\" \n`:   {"say", `"hi"`, `\n`},
		`"unclosed quote`: {"unclosed quote"},
	} {
		if got := splitCommandLine(line); !slices.Equal(got, want) {
			t.Errorf("splitCommandLine(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := settings{"A=1", "a__B=2", "A=3", "Empty=", "x=%A%"}
	for name, want := range map[string]string{"a": "3", "A:b": "2", "a__b": "2", "empty": ""} {
		if got, ok := s.lookup(name); !ok || got != want {
			t.Errorf("lookup(%q) = %q, %v, want %q", name, got, ok, want)
		}
	}
	for text, want := range map[string]string{"%a%": "3", "0 * * * * *": "0 * * * * *", "%a% %a%": "%a% %a%", "%": "%", "%%": "%%", "%x%": "%A%"} {
		if got, err := s.resolve(text); err != nil || got != want {
			t.Errorf("resolve(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"%missing%", "%empty%"} {
		if got, err := s.resolve(text); err == nil {
			t.Errorf("resolve(%q) = %q, want an error", text, got)
		}
	}
	for text, want := range map[string]string{"a%A%b%missing%c": "a3bc", "50%": "50%", "": ""} {
		if got := s.expand(text); got != want {
			t.Errorf("expand(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestFailureCount(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		minutes []int // of the failures
		want    bool  // the last is one too many
	}{
		{[]int{0}, false},
		{[]int{0, 0}, false},
		{[]int{0, 0, 0}, true},
		{[]int{0, 30, 60}, true}, // each within 30 minutes of the one before
		{[]int{0, 31, 60}, false},
		{[]int{0, 0, 31, 32}, false},
		{[]int{0, 0, 31, 32, 33}, true},
	} {
		var c failureCount
		got := false
		for _, m := range test.minutes {
			got = c.add(now.Add(time.Duration(m) * time.Minute))
		}
		if got != test.want {
			t.Errorf("failures at %v: %v, want %v", test.minutes, got, test.want)
		}
	}
}

func TestLineWriter(t *testing.T) {
	t.Parallel()
	var got []string
	w := newLineWriter(func(line string) { got = append(got, line) })
	for _, text := range []string{"a", "b\r\nc\n\nd", "", "e"} {
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", text, n, err)
		}
	}
	w.flush()
	w.flush()
	if want := []string{"ab", "c", "", "de"}; !slices.Equal(got, want) {
		t.Errorf("lines = %q, want %q", got, want)
	}
	if want := []string{"c", "", "de"}; !slices.Equal(w.last(), want) {
		t.Errorf("last = %q, want %q", w.last(), want)
	}
	got = nil
	w.Write([]byte(strings.Repeat("x", 2*maxLine+1) + "\ny\n"))
	if len(got) != 4 || len(got[0]) != maxLine || len(got[1]) != maxLine || got[2] != "x" || got[3] != "y" {
		t.Errorf("a long line became %d lines", len(got))
	}
}
