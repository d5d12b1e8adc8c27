package functionshost

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// A constraint is an inline constraint of a route parameter, "{id:int}": it
// reports whether it lets a value pass.
type constraint func(value string) bool

var onlyLetters = regexp.MustCompile(`^[A-Za-z]*\n?$`)

// parseConstraint reads a constraint of ASP.NET Core. The expression of
// "regex" is searched for without regard to case, as there, in Go's syntax.
func parseConstraint(text string) (constraint, error) {
	name, argument, called := strings.Cut(text, "(")
	if called {
		var ok bool
		if argument, ok = strings.CutSuffix(argument, ")"); !ok {
			return nil, fmt.Errorf("constraint %q is not closed", text)
		}
		if argument == "" {
			return nil, fmt.Errorf("constraint %q has no argument", text)
		}
	}
	switch name := strings.ToLower(name); name {
	case "required":
		return func(v string) bool { return v != "" }, nil
	case "int":
		return func(v string) bool { _, err := parseInt(v, 32); return err == nil }, nil
	case "long":
		return func(v string) bool { _, err := parseInt(v, 64); return err == nil }, nil
	case "bool":
		return func(v string) bool { return strings.EqualFold(v, "true") || strings.EqualFold(v, "false") }, nil
	case "guid":
		return func(v string) bool { return uuid.Validate(v) == nil }, nil
	case "alpha":
		return onlyLetters.MatchString, nil
	case "regex":
		argument = singleBraces.Replace(argument)
		if inner, ok := strings.CutSuffix(argument, "$"); ok && !strings.HasSuffix(inner, `\`) { // .NET lets a newline follow
			argument = inner + `\n?$`
		}
		re, err := regexp.Compile("(?i)" + argument)
		if err != nil {
			return nil, fmt.Errorf("constraint %q: %w", text, err)
		}
		return re.MatchString, nil
	case "length", "minlength", "maxlength", "min", "max", "range":
		return parseBounds(name, argument)
	}
	return nil, fmt.Errorf("constraint %q is not supported here", text)
}

// parseInt reads a number as .NET does, with spaces around it.
func parseInt(text string, bits int) (int64, error) {
	return strconv.ParseInt(strings.TrimSpace(text), 10, bits)
}

// parseBounds reads the constraints that compare a length or a number.
func parseBounds(name, argument string) (constraint, error) {
	low, high, two := strings.Cut(argument, ",")
	lower, err := strconv.ParseInt(strings.TrimSpace(low), 10, 64)
	upper := lower
	if two && err == nil {
		upper, err = strconv.ParseInt(strings.TrimSpace(high), 10, 64)
	}
	if err != nil || two && name != "length" && name != "range" || !two && name == "range" {
		return nil, fmt.Errorf("constraint %q cannot have the argument %q", name, argument)
	}
	return func(value string) bool {
		n := int64(utf8.RuneCountInString(value))
		if name == "min" || name == "max" || name == "range" {
			var err error
			if n, err = parseInt(value, 64); err != nil {
				return false
			}
		}
		return (strings.HasPrefix(name, "max") || n >= lower) && (strings.HasPrefix(name, "min") || n <= upper)
	}, nil
}
