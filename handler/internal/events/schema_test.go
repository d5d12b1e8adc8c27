package events_test

// Events against the JSON Schema that receivers are given.

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"
)

// schemaFile is for receivers, and so is what it says.
const schemaFile = "../../../docs/event.schema.json"

// checkSchema compares an event with the schema that receivers have.
func checkSchema(t testing.TB, doc []byte) {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if err := s.check("event", parseJSON(t, doc)); err != nil {
		t.Errorf("%v:\n%s", err, doc)
	}
}

func parseJSON(t testing.TB, doc []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// schema is as much of JSON Schema (draft 2020-12) as the file uses.
type schema struct {
	Types      types             `json:"type"`
	Const      any               `json:"const"`
	Enum       []any             `json:"enum"`
	Pattern    string            `json:"pattern"`
	Format     string            `json:"format"`
	MinLength  int               `json:"minLength"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Closed     *bool             `json:"additionalProperties"`
}

// types is one name or several.
type types []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *types) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = types{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

func (s schema) check(at string, v any) error {
	kind := map[bool]string{true: "null"}[v == nil]
	switch v.(type) {
	case string:
		kind = "string"
	case bool:
		kind = "boolean"
	case float64:
		kind = "integer"
	case map[string]any:
		kind = "object"
	}
	if s.Types != nil && !slices.Contains(s.Types, kind) {
		return fmt.Errorf("%s is a %s, want %v", at, kind, s.Types)
	}
	if s.Const != nil && v != s.Const || s.Enum != nil && !slices.Contains(s.Enum, v) {
		return fmt.Errorf("%s is %v, want %v%v", at, v, s.Const, s.Enum)
	}
	if text, ok := v.(string); ok {
		_, err := time.Parse(time.RFC3339, text)
		switch {
		case len(text) < s.MinLength:
			return fmt.Errorf("%s is too short", at)
		case s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(text):
			return fmt.Errorf("%s is %q, want %s", at, text, s.Pattern)
		case s.Format == "date-time" && err != nil:
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	members, _ := v.(map[string]any)
	for _, name := range s.Required {
		if _, ok := members[name]; !ok {
			return fmt.Errorf("%s has no %s", at, name)
		}
	}
	for name, member := range members {
		of, known := s.Properties[name]
		if !known {
			if s.Closed != nil && !*s.Closed {
				return fmt.Errorf("%s has %s, which the schema does not know", at, name)
			}
			continue
		}
		if err := of.check(at+"."+name, member); err != nil {
			return err
		}
	}
	return nil
}

// TestSchemaRefuses: the check is one.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile("testdata/Certwright.CertificateOperationFailed.json")
	if err != nil {
		t.Fatal(err)
	}
	for what, edit := range map[string]func(event, data map[string]any){
		"another version of CloudEvents": func(e, _ map[string]any) { e["specversion"] = "0.3" },
		"no id":                          func(e, _ map[string]any) { delete(e, "id") },
		"an empty source":                func(e, _ map[string]any) { e["source"] = "" },
		"another type":                   func(e, _ map[string]any) { e["type"] = "Microsoft.KeyVault.SecretExpired" },
		"a time without a zone":          func(e, _ map[string]any) { e["time"] = "2026-03-01T12:00:00" },
		"an attribute in upper case":     func(e, _ map[string]any) { e["dataContentType"] = "application/json" },
		"EXP as a text":                  func(_, d map[string]any) { d["EXP"] = "1774958400" },
		"no ObjectName":                  func(_, d map[string]any) { delete(d, "ObjectName") },
		"another ObjectType":             func(_, d map[string]any) { d["ObjectType"] = "Secret" },
	} {
		event := parseJSON(t, good).(map[string]any)
		if err := s.check("event", event); err != nil {
			t.Fatal(err)
		}
		edit(event, event["data"].(map[string]any))
		if s.check("event", event) == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
