package functionshost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// maxReply is the largest reply to an invocation that is read, in bytes.
const maxReply = 100 << 20

// errHang is the reply at which the real host waits until the function times
// out, and then kills the handler.
var errHang = errors.New("the reply is empty or null: the real host would hang here until the function times out")

// An invocation is what the handler is asked to run: POST /<FunctionName>.
// Objects are JSON objects; everything else is a string that holds its JSON.
type invocation struct {
	Data     map[string]any `json:"Data"`     // by binding name
	Metadata map[string]any `json:"Metadata"` // binding data
}

// A reply is what the handler must answer with 2xx and application/json.
// Names are read without regard to case.
type reply struct {
	Outputs     map[string]json.RawMessage `json:"Outputs"`
	Logs        []string                   `json:"Logs"`
	ReturnValue json.RawMessage            `json:"ReturnValue"`
}

// system is the binding data that every invocation has.
func (h *Host) system(fn *Function) map[string]any {
	return map[string]any{
		"MethodName": fn.Name,
		"UtcNow":     h.cfg.Now().UTC().Format("2006-01-02T15:04:05.9999999Z07:00"),
		"RandGuid":   h.cfg.NewID(),
	}
}

// send runs an invocation whose clock has begun.
func (h *Host) send(ctx context.Context, fn *Function, id string, in invocation) (*reply, error) {
	text, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("writing the invocation: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.worker.address+"/"+fn.Name, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("sending the invocation: %w", err)
	}
	req.ContentLength = -1 // chunked, as in Azure
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set(versionHeader, hostVersion)
	req.Header.Set(invocationHeader, id)
	begin := time.Now()
	res, err := h.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("sending the invocation: %w", err)
	}
	defer res.Body.Close()
	out, err := readReply(res)
	if err != nil {
		return nil, fmt.Errorf("reading the reply: %w", err)
	}
	for _, line := range out.Logs {
		h.cfg.Log.Info(line, "category", "Function."+fn.Name+".User", "invocation", id)
	}
	h.cfg.Log.Debug("executed a function", "function", fn.Name, "invocation", id, "duration", time.Since(begin))
	return out, nil
}

// readReply is as strict as the host: anything but 2xx fails, so does any
// content type but JSON's, and only an object is a reply.
func readReply(res *http.Response) (*reply, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxReply:
		return nil, fmt.Errorf("it is larger than %d bytes", maxReply)
	case res.StatusCode < 200 || res.StatusCode > 299:
		return nil, fmt.Errorf("its status is %s", res.Status)
	case len(body) == 0:
		return nil, errHang
	}
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && kind != "text/json" {
		return nil, fmt.Errorf("its content type %q is not JSON", res.Header.Get("Content-Type"))
	}
	if text := strings.TrimSpace(string(body)); text == "null" || text == "" {
		return nil, errHang
	}
	var out reply
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("it is not an object with Outputs, Logs and ReturnValue: %w", err)
	}
	return &out, nil
}
