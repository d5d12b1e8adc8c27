package functionshost

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/functionshost/schedule"
)

// hostFile is the part of host.json that matters to a custom handler. App
// settings AzureFunctionsJobHost__section__key override it, always as text,
// which is why flags and lists accept text too.
type hostFile struct {
	Version         string    `json:"version"`
	FunctionTimeout *timeSpan `json:"functionTimeout"` // -1: none
	Functions       []string  `json:"functions"`       // if not empty, the only functions to load
	Extensions      struct {
		HTTP struct {
			RoutePrefix   *string           `json:"routePrefix"`   // "api" if absent
			CustomHeaders map[string]string `json:"customHeaders"` // added to answers without them
		} `json:"http"`
	} `json:"extensions"`
	CustomHandler *customHandler `json:"customHandler"`
}

// customHandler is how to start the handler and how to pass requests to it.
type customHandler struct {
	Description *struct {
		DefaultExecutablePath string `json:"defaultExecutablePath"`
		DefaultWorkerPath     string `json:"defaultWorkerPath"`
		WorkerDirectory       string `json:"workerDirectory"`
		WorkingDirectory      string `json:"workingDirectory"`
		Arguments             list   `json:"arguments"`
		WorkerArguments       list   `json:"workerArguments"`
		StderrIsError         *flag  `json:"useStdErrorStreamForErrorsOnly"` // true if absent
	} `json:"description"`
	Forwarding            flag         `json:"enableForwardingHttpRequest"`
	Proxying              flag         `json:"enableProxyingHttpRequest"`
	InitializationTimeout *timeSpan    `json:"initializationTimeout"` // 30 s if absent
	Port                  *json.Number `json:"port"`                  // chosen by the host if absent
}

const (
	defaultFunctionTimeout       = 30 * time.Minute
	defaultInitializationTimeout = 30 * time.Second
	defaultRoutePrefix           = "api"
)

// readHostFile reads host.json in root with the overrides of app settings.
func readHostFile(root string, app settings) (*hostFile, error) {
	text, err := os.ReadFile(filepath.Join(root, "host.json"))
	if err != nil {
		return nil, fmt.Errorf("reading host.json: %w", err)
	}
	tree := map[string]any{}
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("reading host.json: %w", err)
	}
	override(tree, app)
	if text, err = json.Marshal(tree); err != nil {
		return nil, fmt.Errorf("reading host.json with its overrides: %w", err)
	}
	var host hostFile
	if err := json.Unmarshal(text, &host); err != nil {
		return nil, fmt.Errorf("reading host.json with its overrides: %w", err)
	}
	if err := host.check(); err != nil {
		return nil, fmt.Errorf("checking host.json: %w", err)
	}
	return &host, nil
}

func (h *hostFile) check() error {
	switch {
	case h.Version != "2.0":
		return fmt.Errorf("version is %q, not \"2.0\"", h.Version)
	case h.CustomHandler == nil:
		return errors.New("customHandler is missing")
	case h.CustomHandler.Description == nil:
		return errors.New("customHandler has no description")
	case h.CustomHandler.Description.DefaultExecutablePath == "":
		return errors.New("customHandler.description.defaultExecutablePath is empty")
	}
	return nil
}

// functionTimeout is how long an invocation may take; 0 is for ever.
func (h *hostFile) functionTimeout() time.Duration {
	if h.FunctionTimeout == nil {
		return defaultFunctionTimeout
	}
	return max(0, time.Duration(*h.FunctionTimeout))
}

func (h *hostFile) initializationTimeout() time.Duration {
	if t := h.CustomHandler.InitializationTimeout; t != nil {
		return time.Duration(*t)
	}
	return defaultInitializationTimeout
}

// routePrefix is the first part of every route, without slashes around it.
func (h *hostFile) routePrefix() string {
	if p := h.Extensions.HTTP.RoutePrefix; p != nil {
		return strings.Trim(*p, "/")
	}
	return defaultRoutePrefix
}

// override puts the app settings named AzureFunctionsJobHost__a__b into tree
// at a.b, whatever the case of names.
func override(tree map[string]any, app settings) {
	for _, entry := range app {
		name, value, _ := strings.Cut(entry, "=")
		path := strings.Split(strings.ReplaceAll(name, "__", ":"), ":")
		if len(path) < 2 || !strings.EqualFold(path[0], "AzureFunctionsJobHost") {
			continue
		}
		node := tree
		for _, step := range path[1 : len(path)-1] {
			key := keyIn(node, step)
			child, ok := node[key].(map[string]any)
			if !ok {
				child = map[string]any{}
				node[key] = child
			}
			node = child
		}
		node[keyIn(node, path[len(path)-1])] = value
	}
}

// keyIn is the key that node has for name without regard to case, or name.
func keyIn(node map[string]any, name string) string {
	for key := range node {
		if strings.EqualFold(key, name) {
			return key
		}
	}
	return name
}

// A timeSpan is a .NET TimeSpan in JSON; "-1" is minus one day.
type timeSpan time.Duration

func (t *timeSpan) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	d, err := schedule.ParseTimeSpan(s)
	*t = timeSpan(d)
	return err
}

// A flag is true, false, or the same as text.
type flag bool

func (f *flag) UnmarshalJSON(text []byte) error {
	switch v := strings.ToLower(strings.Trim(string(text), `"`)); v {
	case "true":
		*f = true
	case "false", "null":
		*f = false
	default:
		return fmt.Errorf("%s is neither true nor false", text)
	}
	return nil
}

// A list is an array of strings, or the same as text.
type list []string

func (l *list) UnmarshalJSON(text []byte) error {
	var inner string
	if json.Unmarshal(text, &inner) == nil {
		text = []byte(inner)
	}
	var items []string
	if err := json.Unmarshal(text, &items); err != nil {
		return err
	}
	*l = items
	return nil
}
