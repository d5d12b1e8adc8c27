package functionshost

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// invokeHTTP turns a request into an invocation and its reply into a response.
func (h *Host) invokeHTTP(ctx context.Context, w *hostWriter, r *http.Request, c *call) error {
	out, err := h.send(ctx, c.fn, c.id, invocation{
		Data:     map[string]any{c.fn.trigger.Name: requestData(r, c)},
		Metadata: h.requestMetadata(r, c),
	})
	if err != nil {
		return fmt.Errorf("invoking: %w", err)
	}
	output := c.fn.httpOutput()
	if output == nil { // without one the host answers for itself
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	value, ok := out.Outputs[output.Name]
	if output.Name == "$return" {
		value, ok = out.ReturnValue, out.ReturnValue != nil
	}
	if !ok {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Write([]byte("{}"))
		return nil
	}
	return writeOutput(w, value)
}

// requestData is the request as the trigger's data.
func requestData(r *http.Request, c *call) map[string]any {
	data := map[string]any{
		"Url":        c.scheme + "://" + r.Host + proxiedPath(c.head.path) + c.head.query,
		"Method":     r.Method,
		"Query":      parseQuery(c.head.query).values(),
		"Headers":    headerLists(r),
		"Params":     c.params,
		"Identities": []any{},
	}
	if len(c.body) > 0 {
		data["Body"] = string(c.body)
		if isBinary(r.Header.Get("Content-Type")) {
			data["Body"] = base64.StdEncoding.EncodeToString(c.body)
		}
	}
	return data
}

// headerLists is the header with the Host that Go keeps elsewhere.
func headerLists(r *http.Request) map[string][]string {
	lists := maps.Clone(map[string][]string(r.Header))
	lists["Host"] = []string{r.Host}
	return lists
}

func isBinary(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/octet-stream" || strings.HasPrefix(kind, "multipart/"))
}

// requestMetadata is the binding data of a request: the members of a JSON body,
// the query and the route, later ones winning, and the whole query and header.
func (h *Host) requestMetadata(r *http.Request, c *call) map[string]any {
	metadata := map[string]any{}
	var members map[string]json.RawMessage
	if json.Unmarshal(c.body, &members) == nil {
		for name, value := range members {
			if text := bytes.TrimSpace(value); text[0] != '[' && string(text) != "null" {
				metadata[name] = bindingValue(text)
			}
		}
	}
	query := parseQuery(c.head.query).values()
	for _, pairs := range []map[string]string{query, c.params} {
		for name, value := range pairs {
			text, _ := json.Marshal(value) // a string always can be
			metadata[name] = string(text)
		}
	}
	headers := map[string]string{}
	for name, values := range headerLists(r) {
		headers[name] = strings.Join(values, ",")
	}
	metadata["Query"], metadata["Headers"], metadata["sys"] = query, headers, h.system(c.fn)
	maps.DeleteFunc(metadata, func(name string, _ any) bool { return strings.HasSuffix(strings.ToLower(name), "trigger") })
	return metadata
}

// bindingValue is an object as it is, anything else as a string of its JSON.
func bindingValue(text json.RawMessage) any {
	if text[0] == '{' {
		return text
	}
	return string(text)
}

// writeOutput writes the HTTP output of a reply.
func writeOutput(w http.ResponseWriter, value json.RawMessage) error {
	var out struct {
		StatusCode any            `json:"statusCode"` // a string or a number
		Headers    map[string]any `json:"headers"`
		Body       any            `json:"body"`
	}
	if text := bytes.TrimSpace(value); len(text) == 0 || text[0] != '{' {
		return errors.New("the HTTP output is not an object")
	}
	if err := json.Unmarshal(value, &out); err != nil {
		return fmt.Errorf("reading the HTTP output: %w", err)
	}
	status := http.StatusOK
	if out.StatusCode != nil {
		var err error
		if status, err = strconv.Atoi(fmt.Sprint(out.StatusCode)); err != nil || status < 200 || status > 999 {
			return fmt.Errorf("the HTTP output has the status code %v", out.StatusCode)
		}
	}
	body, kind, err := outputBody(out.Body)
	if err != nil {
		return err
	}
	if kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	for name, value := range out.Headers { // one value each; a list becomes its JSON
		text, ok := value.(string)
		if !ok {
			encoded, err := json.Marshal(value)
			if err != nil {
				return fmt.Errorf("writing header %q of the HTTP output: %w", name, err)
			}
			text = string(encoded)
		}
		w.Header().Set(name, text)
	}
	w.WriteHeader(status)
	w.Write(body) // the client may have gone
	return nil
}

// outputBody is the body of an HTTP output: a string that is base64 is decoded,
// another is text, an object is JSON.
func outputBody(value any) (body []byte, contentType string, err error) {
	switch v := value.(type) {
	case nil:
		return nil, "", nil
	case string:
		if raw, err := base64.StdEncoding.Strict().DecodeString(v); err == nil && v != "" {
			return raw, "application/octet-stream", nil
		}
		return []byte(v), "text/plain; charset=utf-8", nil
	}
	body, err = json.Marshal(value)
	if err != nil {
		return nil, "", fmt.Errorf("writing the body of the HTTP output: %w", err)
	}
	return body, "application/json; charset=utf-8", nil
}
