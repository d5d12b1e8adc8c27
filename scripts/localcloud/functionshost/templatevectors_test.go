// Route templates, as recorded.

package functionshost

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestTemplateVectors checks for each recorded route template which paths
// reach its function, or that the app is not given it.
func TestTemplateVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/vectors/templates.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Paths     []string
		Templates []struct {
			Template string
			Matches  []string
			Refused  any
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, test := range file.Templates {
		reason, listed := differentTemplates[test.Template]
		template, err := parseTemplate(routeText("", test.Template))
		var got []string
		if err == nil {
			for _, path := range file.Paths {
				if _, ok := template.match(serverPath(path)); ok {
					got = append(got, path)
				}
			}
		}
		same := (err != nil) == (test.Refused != nil) && slices.Equal(got, test.Matches)
		switch {
		case !same && !listed:
			t.Errorf("%q: refused %v (%v), want %v; matches %q, want %q", test.Template, err != nil, err, test.Refused, less(got, test.Matches), less(test.Matches, got))
		case same && listed:
			t.Errorf("%q is as recorded, but listed as different: %s", test.Template, reason)
		}
	}
}

// less is what a has and b has not.
func less(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) || strings.Contains(s, "kkk") })
}

// differentTemplates lists the templates that the stand-in does not treat as
// recorded, with the reason.
var differentTemplates = map[string]string{
	"":             "the app puts the function's name in place of an empty route before there is a template",
	"{x:regex([)}": "an expression that cannot be compiled is refused at the start, not at each request",
	"{x:datetime}": otherConstraint,
	"{x:decimal}":  otherConstraint,
	"{x:double}":   otherConstraint,
	"{x:float}":    otherConstraint,
	"{x:file}":     otherConstraint,
	"{x:nonfile}":  otherConstraint,
	"{*x:nonfile}": otherConstraint,
	"pre-{x}":      mixedSegment,
	"{x}-post":     mixedSegment,
	"{x}.{y}":      mixedSegment,
	"{x}.{y?}":     mixedSegment,
	"{x}-{y}":      mixedSegment,
	"a-{x:int}":    mixedSegment,
	"{x}b":         mixedSegment,
	"a{x}":         mixedSegment,
	".{x}":         mixedSegment,
	"{x}.":         mixedSegment,
}

const (
	otherConstraint = "the constraint is not supported, so that the function is dropped with an error"
	mixedSegment    = "a segment that mixes text and parameters is not supported, so that the function is dropped with an error"
)
