package webhook_test

// The OpenAPI document of the contract against what is sent.

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"mime"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/webhook"
)

// The document of the contract says what the client sends, all of it, and what
// it is answered here.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../docs/webhook.openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d.root); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range conversation(t) {
		operation := d.operation(t, e)
		seen[fmt.Sprint(operation["operationId"], " ", e.status)] = true
		d.check(t, operation, e)
	}
	for _, want := range []string{
		"getRequest 200", "getRequest 202", "getRequest 404", "makeRequest 201", "makeRequest 202", "makeRequest 422",
		"cancelRequest 204", "cancelRequest 404", "cancelRequest 409", "revokeCertificate 204",
	} {
		if !seen[want] {
			t.Errorf("no %s among %v", want, seen)
		}
	}
}

// conversation makes the client send everything that it can.
func conversation(t *testing.T) []exchange {
	a := newAuthority(t)
	i := a.issuer(webhook.Config{Vault: "vault-1"})
	small, full := request(t), request(t)
	small.Policy.X509 = policy.X509Properties{ValidityMonths: 1}
	full.ID = strings.Repeat("f", 32)
	full.Policy.X509.SANs = &policy.SANs{
		DNSNames: []string{"example.com"}, Emails: []string{"ada@example.com"}, UPNs: []string{"ada@corp"},
		URIs: []string{"spiffe://example.com/a"}, IPAddresses: []string{"192.0.2.1"},
	}
	full.Policy.Issuer.CertificateType = "internal"
	full.Predecessor = a.root.Raw
	step := func(req provider.Request) provider.Outcome {
		_, out := i.Step(t.Context(), req, nil)
		return out
	}
	cancel := func(req provider.Request) {
		if _, _, err := i.Cancel(t.Context(), req, nil); err != nil {
			t.Fatal(err)
		}
	}
	cancel(small)
	a.set(func() { a.pending = true })
	step(small)
	step(small)
	cancel(small)
	step(small) // failed
	a.set(func() { a.pending = false })
	out := step(full)
	leaf, err := x509.ParseCertificate(out.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	step(full)
	cancel(full)
	if err := i.Revoke(t.Context(), full.Issuer, leaf, 1); err != nil {
		t.Fatal(err)
	}
	other := request(t) // of the same id
	other.ID = full.ID
	a.set(func() { a.faults = []fault.Func{fault.Reply(404, "text/plain", "")} })
	step(other)
	return a.exchanges
}

// document is an OpenAPI document. Only what webhook.openapi.json uses is
// understood; anything else fails the test.
type document struct{ root map[string]any }

// at resolves references.
func (d document) at(t testing.TB, v any) map[string]any {
	t.Helper()
	node, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("%v is not an object", v)
	}
	ref, ok := node["$ref"].(string)
	if !ok {
		return node
	}
	v = d.root
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		v = v.(map[string]any)[name]
	}
	return d.at(t, v)
}

// operation finds the operation of a request.
func (d document) operation(t testing.TB, e exchange) map[string]any {
	t.Helper()
	for template, item := range d.root["paths"].(map[string]any) {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(template), `\{requestId\}`, "[^/]+") + "$"
		operation, ok := item.(map[string]any)[strings.ToLower(e.method)]
		if ok && regexp.MustCompile(pattern).MatchString(e.path) {
			return operation.(map[string]any)
		}
	}
	t.Fatalf("%s %s is not documented", e.method, e.path)
	return nil
}

// check holds an exchange against its operation.
func (d document) check(t testing.TB, operation map[string]any, e exchange) {
	t.Helper()
	where := fmt.Sprintf("%s %s %d", e.method, e.path, e.status)
	parameters, _ := operation["parameters"].([]any)
	for _, p := range parameters {
		p := d.at(t, p)
		value := e.header.Get(p["name"].(string))
		if p["in"] == "path" {
			value = e.path[strings.LastIndexByte(e.path, '/')+1:]
		}
		d.value(t, where+" "+p["name"].(string), p["schema"], value)
	}
	if body, ok := operation["requestBody"].(map[string]any); ok {
		d.body(t, where+" request", body, e.header.Get("Content-Type"), e.body)
	} else if len(e.body) > 0 {
		t.Errorf("%s: undocumented body %s", where, e.body)
	}
	response, ok := operation["responses"].(map[string]any)[fmt.Sprint(e.status)]
	if !ok {
		t.Errorf("%s: undocumented status", where)
		return
	}
	if _, ok := response.(map[string]any)["content"]; ok {
		d.body(t, where+" answer", response.(map[string]any), e.answerType, e.answer)
	}
}

// body checks a body by the schema of its media type.
func (d document) body(t testing.TB, where string, spec map[string]any, contentType string, body []byte) {
	t.Helper()
	mediaType, _, err := mime.ParseMediaType(contentType)
	content, ok := spec["content"].(map[string]any)[mediaType].(map[string]any)
	if err != nil || !ok {
		t.Errorf("%s: undocumented media type %q", where, contentType)
		return
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	d.value(t, where, content["schema"], v)
}

// value checks a value by a schema. A member that the schema does not name is an
// error here, although the contract lets both sides add some.
func (d document) value(t testing.TB, where string, schema, v any) {
	t.Helper()
	s := d.at(t, schema)
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s: %s, not by %v", where, fmt.Sprintf(format, args...), s)
	}
	for keyword, arg := range s {
		switch keyword {
		case "description", "discriminator":
		case "type":
			if got := typeOf(v); got != arg {
				wrong("%v is %s", v, got)
			}
		case "const":
			if v != arg {
				wrong("%v", v)
			}
		case "enum":
			if !slices.Contains(arg.([]any), v) {
				wrong("%v", v)
			}
		case "pattern":
			if !regexp.MustCompile(arg.(string)).MatchString(v.(string)) {
				wrong("%q", v)
			}
		case "maxLength":
			if utf8.RuneCountInString(v.(string)) > int(arg.(float64)) {
				wrong("%q", v)
			}
		case "minimum", "maximum", "minItems", "maxItems":
			size, ok := v.(float64)
			if !ok {
				size = float64(len(v.([]any)))
			}
			if bound := arg.(float64); strings.HasPrefix(keyword, "min") && size < bound || strings.HasPrefix(keyword, "max") && size > bound {
				wrong("%v", v)
			}
		case "items":
			for _, element := range v.([]any) {
				d.value(t, where+"[]", arg, element)
			}
		case "required":
			for _, name := range arg.([]any) {
				if _, ok := v.(map[string]any)[name.(string)]; !ok {
					wrong("no %s", name)
				}
			}
		case "properties":
			for name, member := range v.(map[string]any) {
				property, ok := arg.(map[string]any)[name]
				if !ok {
					wrong("undocumented member %s", name)
					continue
				}
				d.value(t, where+"."+name, property, member)
			}
		case "oneOf":
			for _, branch := range arg.([]any) {
				status := d.at(t, branch)["properties"].(map[string]any)["status"].(map[string]any)["const"]
				if v.(map[string]any)["status"] == status {
					d.value(t, where, branch, v)
					return
				}
			}
			wrong("%v", v)
		default:
			t.Fatalf("%s: keyword %s is not understood", where, keyword)
		}
	}
}

// typeOf is the JSON Schema type of a decoded value.
func typeOf(v any) string {
	switch v := v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if v == float64(int(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	default:
		return "null"
	}
}
