package functionshost

// Route templates and constraints.

import "testing"

func TestParseTemplateRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a//b", "{*x}/b", "{x}{y}", "a{x}", "{x}.txt", "{", "}", "{}", "{*}", "{x", "x}", "a?b", "{x}/{X}", "{*x?}",
		"{x:unknown}", "{x:int", "{x:length}", "{x:range(1)}", "{x:min(1,2)}", "{x:min(a)}", "{x:regex([)}", "{x:regex(a}",
	} {
		if _, err := parseTemplate(text); err == nil {
			t.Errorf("parseTemplate(%q) succeeded", text)
		}
	}
}

func TestConstraints(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		constraint string
		yes, no    []string
	}{
		{"int", []string{"0", "-2147483648"}, []string{"", "x", "2147483648", "1.0"}},
		{"long", []string{"2147483648"}, []string{"9223372036854775808"}},
		{"bool", []string{"true", "FALSE"}, []string{"1"}},
		{"guid", []string{"24ad4c06-24ad-4e5b-8294-3da9714877e9"}, []string{"24ad4c06"}},
		{"alpha", []string{"aZ"}, []string{"a1", "ä"}},
		{"required", []string{"x"}, []string{""}},
		{"length(2)", []string{"ab", "äö"}, []string{"a", "abc"}},
		{"length(2, 3)", []string{"ab", "abc"}, []string{"a", "abcd"}},
		{"minlength(2)", []string{"ab", "abc"}, []string{"a"}},
		{"maxlength(2)", []string{"", "ab"}, []string{"abc"}},
		{"min(2)", []string{"2", "3"}, []string{"1", "x"}},
		{"max(2)", []string{"2", "-3"}, []string{"3", "x"}},
		{"range(2,4)", []string{"2", "4"}, []string{"1", "5", "x"}},
		{"regex(b)", []string{"abc", "ABC"}, []string{"ac"}},
		{"regex(^a:(b|c)$)", []string{"a:b"}, []string{"a:d"}},
	} {
		if _, err := parseTemplate("{x?:" + test.constraint + "}"); err == nil {
			t.Errorf("an optional mark before the constraint was taken")
		}
		template, err := parseTemplate("{x:" + test.constraint + "}")
		if err != nil {
			t.Errorf("%s: %v", test.constraint, err)
			continue
		}
		allows := template.segments[0].constraints[0]
		for _, value := range test.yes {
			if !allows(value) {
				t.Errorf("%s refuses %q", test.constraint, value)
			}
		}
		for _, value := range test.no {
			if allows(value) {
				t.Errorf("%s allows %q", test.constraint, value)
			}
		}
	}
}

// TestConstraintOfWhatIsMissing: a constraint refuses an empty catch-all, and
// lets a missing optional parameter pass.
func TestConstraintOfWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		template, path string
		want           bool
	}{
		{"{*x:regex(^a)}", "/", false},
		{"{*x:regex(^a)}", "/ab//c", true},
		{"{*x:regex(^a)}", "/b", false},
		{"{*x}", "/", true},
		{"a/{x:int?}", "/a", true},
		{"a/{x:int?}", "/a/b", false},
	} {
		template, err := parseTemplate(test.template)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := template.match(test.path); got != test.want {
			t.Errorf("%s matches %s: %v, want %v", test.template, test.path, got, test.want)
		}
	}
}
