package functionshost

import (
	"encoding/json"
	"mime"
	"net/http"
	"os"
	"strings"
)

// maxAdminBody is the largest body of an admin request, in bytes.
const maxAdminBody = 1 << 20

// serveAdmin answers the host's own endpoints and reports whether the path is
// one of them. What else is under /admin and /runtime is not found, whatever
// routes the functions have.
func (h *Host) serveAdmin(w *hostWriter, r *http.Request, path string) bool {
	segments := strings.Split(strings.Trim(strings.ToLower(path), "/"), "/")
	if segments[0] != "admin" && segments[0] != "runtime" {
		return false
	}
	if segments[0] == "runtime" || len(segments) < 2 || len(segments) > 3 {
		w.fail(http.StatusNotFound)
		return true
	}
	isGet := r.Method == http.MethodGet
	switch what := strings.Join(segments[1:], "/"); {
	case what == "host/ping" && (isGet || r.Method == http.MethodPost):
		w.WriteHeader(http.StatusOK)
		return true
	case what == "host/status" && isGet:
		h.forAdmins(w, r, h.serveStatus)
	case what == "functions" && isGet:
		h.forAdmins(w, r, h.serveFunctions)
	case segments[1] == "functions" && len(segments) == 3 && r.Method == http.MethodPost:
		h.forAdmins(w, r, func(w http.ResponseWriter, r *http.Request) { h.serveTrigger(w, r, segments[2]) })
	default:
		w.fail(http.StatusNotFound)
	}
	return true
}

// forAdmins serves a request that has the master key.
func (h *Host) forAdmins(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	if !h.cfg.Keys.allow(r, adminLevel, "") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	serve(w, r)
}

func (h *Host) serveStatus(w http.ResponseWriter, _ *http.Request) {
	machine, _ := os.Hostname() // only shown
	writeJSON(w, map[string]any{
		"id":            strings.ToLower(machine),
		"state":         "Running",
		"version":       hostVersion,
		"processUptime": h.cfg.Now().Sub(h.started).Milliseconds(),
		"computerName":  machine,
	})
}

func (h *Host) serveFunctions(w http.ResponseWriter, _ *http.Request) {
	list := []map[string]any{}
	for _, fn := range h.app.Functions {
		entry := map[string]any{
			"name":       fn.Name,
			"href":       h.url + "/admin/functions/" + fn.Name,
			"isDisabled": false,
			"language":   "Custom",
			"config":     fn.file,
		}
		if fn.route != nil {
			entry["invoke_url_template"] = h.url + "/" + fn.route.text
		}
		list = append(list, entry)
	}
	writeJSON(w, list)
}

// serveTrigger accepts a run of a function, which happens after the answer.
func (h *Host) serveTrigger(w http.ResponseWriter, r *http.Request, name string) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var body *struct {
		Input any `json:"input"`
	}
	if r.ContentLength != 0 {
		if kind != "application/json" && kind != "text/json" {
			w.WriteHeader(http.StatusUnsupportedMediaType)
			return
		}
		// Whatever is wrong with the body shows in its being nil.
		_ = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAdminBody)).Decode(&body)
	}
	fn, known := h.app.function(name)
	switch {
	case body == nil:
		w.WriteHeader(http.StatusBadRequest)
		return
	case !known:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	for _, t := range h.timers {
		if t.fn == fn && !t.request() {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
	}
	if fn.trigger.is(httpTrigger) {
		h.cfg.Log.Error("an HTTP function cannot be run by the admin endpoint", "function", fn.Name)
	}
	w.WriteHeader(http.StatusAccepted)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(value) // only strings and numbers; the client may have gone
}
