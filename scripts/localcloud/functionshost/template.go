package functionshost

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A template is a route such as "certificates/{name}/{*rest}" with the rules
// of ASP.NET Core's first router, which the host still uses.
type template struct {
	text     string
	segments []segment
}

// A segment is a literal, or a parameter if name is not empty.
type segment struct {
	literal     string
	name        string
	optional    bool // {x?}
	catchAll    bool // {*x}
	fallback    string
	hasFallback bool // {x=fallback}
	constraints []constraint
}

// parseTemplate reads a route without a leading slash. The empty route matches "/".
func parseTemplate(text string) (*template, error) {
	t := &template{text: text}
	if text = strings.TrimSuffix(text, "/"); text == "" {
		return t, nil
	}
	var names []string
	for part := range splitOutsideBraces(text, '/') {
		s, err := parseSegment(part)
		if err != nil {
			return nil, err
		}
		if n := len(t.segments); n > 0 && t.segments[n-1].catchAll {
			return nil, errors.New("a catch-all parameter must be last")
		}
		if s.name != "" {
			lower := strings.ToLower(s.name)
			if slices.Contains(names, lower) {
				return nil, fmt.Errorf("parameter %q occurs twice", s.name)
			}
			names = append(names, lower)
		}
		t.segments = append(t.segments, s)
	}
	return t, nil
}

// doubledBraces removes the braces that a constraint's argument may contain.
var doubledBraces = strings.NewReplacer("{{", "", "}}", "")

// singleBraces reads the braces of a literal.
var singleBraces = strings.NewReplacer("{{", "{", "}}", "}")

func parseSegment(text string) (segment, error) {
	if text == "" {
		return segment{}, errors.New("a segment is empty")
	}
	if !strings.ContainsAny(doubledBraces.Replace(text), "{}") {
		if strings.Contains(text, "?") {
			return segment{}, fmt.Errorf("segment %q contains a question mark", text)
		}
		return segment{literal: singleBraces.Replace(text)}, nil
	}
	inner, ok := strings.CutPrefix(text, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	if !ok || !closed || strings.ContainsAny(doubledBraces.Replace(inner), "{}") {
		return segment{}, fmt.Errorf("segment %q mixes text and parameters, which is not supported here", text)
	}
	var s segment
	name := strings.TrimLeft(inner, "*")
	s.catchAll, inner = name != inner, name
	parts := slices.Collect(splitOutsideParens(inner, ':'))
	last := len(parts) - 1
	if head, fallback, has := strings.Cut(parts[last], "="); has && !strings.Contains(head, "(") {
		parts[last], s.fallback, s.hasFallback = head, fallback, true
	} else if head, has := strings.CutSuffix(parts[last], "?"); has {
		parts[last], s.optional = head, true
	}
	s.name = parts[0]
	if s.name == "" || strings.ContainsAny(s.name, "/{}?*") {
		return segment{}, fmt.Errorf("%q is not a parameter name", s.name)
	}
	if s.catchAll && s.optional {
		return segment{}, fmt.Errorf("catch-all parameter %q cannot be optional", s.name)
	}
	for _, text := range parts[1:] {
		if text == "" {
			continue
		}
		c, err := parseConstraint(text)
		if err != nil {
			return segment{}, fmt.Errorf("parameter %q: %w", s.name, err)
		}
		s.constraints = append(s.constraints, c)
	}
	return s, nil
}

// match returns the parameters if path, decoded and with a leading slash, fits.
// A trailing slash is ignored, literals are compared without regard to case,
// and an empty segment fits nothing unless a catch-all has begun before it.
// Constraints let a missing optional parameter pass, but no empty catch-all.
func (t *template) match(path string) (map[string]string, bool) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, false
	}
	params := map[string]string{}
	for _, s := range t.segments {
		part, tail, more := strings.Cut(rest, "/")
		switch {
		case part == "" && more:
			return nil, false
		case s.catchAll:
			if rest != "" {
				params[s.name] = rest
			} else if s.hasFallback {
				params[s.name] = s.fallback
			}
			rest = ""
		case s.name == "":
			if !strings.EqualFold(part, s.literal) {
				return nil, false
			}
			rest = tail
		case part != "":
			params[s.name] = part
			rest = tail
		case s.hasFallback:
			params[s.name] = s.fallback
		case !s.optional:
			return nil, false
		}
		value, has := params[s.name]
		for _, allows := range s.constraints {
			if !has && s.catchAll || has && !allows(value) {
				return nil, false
			}
		}
	}
	return params, rest == ""
}

// splitOutsideBraces cuts text at each separator that is not inside "{}".
func splitOutsideBraces(text string, separator byte) func(yield func(string) bool) {
	return splitOutside(text, separator, '{', '}')
}

// splitOutsideParens cuts text at each separator that is not inside "()".
func splitOutsideParens(text string, separator byte) func(yield func(string) bool) {
	return splitOutside(text, separator, '(', ')')
}

func splitOutside(text string, separator, opening, closing byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		depth, start := 0, 0
		for i := range len(text) {
			switch text[i] {
			case opening:
				depth++
			case closing:
				depth--
			case separator:
				if depth > 0 {
					continue
				}
				if !yield(text[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(text[start:])
	}
}
