package functionshost

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/certwright/certwright/scripts/localcloud/functionshost/schedule"
)

// An App is a staged function app as the host reads it: host.json and the
// functions that are to run.
type App struct {
	// Functions are the functions that loaded, in the order in which their
	// routes are tried: by name, without regard to case.
	Functions []*Function
	// Dropped says, for each function that did not load, why.
	Dropped []error

	root     string // absolute
	host     *hostFile
	settings settings
}

// A Function is one folder of the app with its function.json.
type Function struct {
	Name     string    // the folder's
	Bindings []Binding // at least the trigger

	trigger  *Binding
	route    *template         // of an HTTP trigger
	level    authLevel         // of an HTTP trigger
	schedule schedule.Schedule // of a timer trigger
	file     json.RawMessage   // function.json
}

// A Binding is an entry of `bindings` in function.json. Which fields count
// depends on Type.
type Binding struct {
	Type      string `json:"type"`
	Direction string `json:"direction"` // "in" if absent
	Name      string `json:"name"`

	AuthLevel string   `json:"authLevel"` // httpTrigger: "function" if absent
	Methods   []string `json:"methods"`   // httpTrigger: all if absent
	Route     string   `json:"route"`     // httpTrigger: the function's name if blank

	Schedule     string `json:"schedule"`     // timerTrigger
	RunOnStartup bool   `json:"runOnStartup"` // timerTrigger
	UseMonitor   *bool  `json:"useMonitor"`   // timerTrigger: true if absent
}

const (
	httpTrigger  = "httpTrigger"
	timerTrigger = "timerTrigger"
	httpOutput   = "http"
)

func (b *Binding) is(kind string) bool { return strings.EqualFold(b.Type, kind) }

func (b *Binding) isOutput() bool { return strings.EqualFold(b.Direction, "out") }

// ReadApp reads the app staged in root: host.json, and function.json in its
// direct sub-folders. A function that cannot run is left out with its reason in
// Dropped; only a host.json that stops the real host is an error. The entries
// "NAME=value" of environ are the app settings; if it is nil, there are none.
func ReadApp(root string, environ []string) (*App, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("reading app %q: %w", root, err)
	}
	app := &App{root: root, settings: environ}
	if app.host, err = readHostFile(root, app.settings); err != nil {
		return nil, fmt.Errorf("reading app %q: %w", root, err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("reading app %q: %w", root, err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { // as .NET's OrdinalIgnoreCase
		return cmp.Compare(strings.ToUpper(a.Name()), strings.ToUpper(b.Name()))
	})
	for _, entry := range entries {
		path := filepath.Join(root, entry.Name(), "function.json")
		text, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) || !entry.IsDir() || !app.wants(entry.Name()):
			continue
		case err == nil:
			err = app.add(entry.Name(), text)
		}
		if err != nil {
			app.Dropped = append(app.Dropped, fmt.Errorf("loading function %q: %w", entry.Name(), err))
		}
	}
	return app, nil
}

// wants reports whether the function is on the allow-list of host.json, if
// there is one, and not disabled by an app setting.
func (a *App) wants(name string) bool {
	only := a.host.Functions
	if len(only) > 0 && !slices.ContainsFunc(only, func(n string) bool { return strings.EqualFold(n, name) }) {
		return false
	}
	return !a.settings.isTrue("AzureWebJobs."+name+".Disabled") && !a.settings.isTrue("AzureWebJobs_"+name+"_Disabled")
}

var (
	functionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,127}$`)
	bindingName  = regexp.MustCompile(`^(?:[A-Za-z][A-Za-z0-9]{0,127}|\$return)$`)
)

// add checks one function and appends it.
func (a *App) add(name string, text []byte) error {
	if !functionName.MatchString(name) || strings.EqualFold(name, "host") {
		return errors.New("the name is not a function name")
	}
	var file struct {
		Bindings   []Binding       `json:"bindings"`
		ScriptFile string          `json:"scriptFile"`
		Retry      json.RawMessage `json:"retry"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return fmt.Errorf("reading function.json: %w", err)
	}
	if file.ScriptFile != "" {
		if _, err := os.Stat(filepath.Join(a.root, name, file.ScriptFile)); err != nil {
			return fmt.Errorf("looking for the script file: %w", err)
		}
	}
	if file.Retry != nil {
		return errors.New("retry policies are not supported here")
	}
	fn := &Function{Name: name, Bindings: file.Bindings, file: text}
	if err := fn.setTrigger(); err != nil {
		return err
	}
	set := a.setRoute
	if fn.trigger.is(timerTrigger) {
		set = a.setSchedule
	}
	if err := set(fn); err != nil {
		return err
	}
	a.Functions = append(a.Functions, fn)
	return nil
}

// setTrigger finds the one trigger among the bindings.
func (f *Function) setTrigger() error {
	if len(f.Bindings) == 0 {
		return errors.New("it has no bindings")
	}
	for i := range f.Bindings {
		b := &f.Bindings[i]
		if !bindingName.MatchString(b.Name) {
			return fmt.Errorf("%q is not a binding name", b.Name)
		}
		if !strings.HasSuffix(strings.ToLower(b.Type), "trigger") {
			continue
		}
		if f.trigger != nil {
			return errors.New("it has more than one trigger")
		}
		f.trigger = b
	}
	switch {
	case f.trigger == nil:
		return errors.New("it has no trigger")
	case !f.trigger.is(httpTrigger) && !f.trigger.is(timerTrigger):
		return fmt.Errorf("trigger %q needs an extension that is not supported here", f.trigger.Type)
	}
	return nil
}

// setRoute gives an HTTP function its route, unless the route is reserved or
// taken.
func (a *App) setRoute(fn *Function) error {
	trigger := fn.trigger
	var err error
	if fn.level, err = parseAuthLevel(trigger.AuthLevel); err != nil {
		return err
	}
	if strings.TrimSpace(trigger.Route) == "" {
		trigger.Route = fn.Name
	}
	text := strings.ToLower(strings.Trim(trigger.Route, "/"))
	if strings.HasPrefix(text, "admin") || strings.HasPrefix(text, "runtime") {
		return fmt.Errorf("route %q conflicts with the host's own", trigger.Route)
	}
	for _, other := range a.Functions {
		if other.trigger.is(httpTrigger) && other.sharesMethod(fn) && strings.EqualFold(strings.Trim(other.trigger.Route, "/"), text) {
			return fmt.Errorf("route %q conflicts with that of function %q", trigger.Route, other.Name)
		}
	}
	full := routeText(a.host.routePrefix(), trigger.Route)
	if fn.route, err = parseTemplate(full); err != nil {
		return fmt.Errorf("reading route %q: %w", full, err)
	}
	return nil
}

// routeText is the template of a route under a prefix. A slash or "~/" before
// it does not count.
func routeText(prefix, route string) string {
	if prefix != "" {
		route = prefix + "/" + route
	}
	return strings.TrimPrefix(strings.TrimPrefix(route, "~"), "/")
}

// setSchedule gives a timer function its schedule, which may be the name of an
// app setting, "%NAME%".
func (a *App) setSchedule(fn *Function) error {
	text, err := a.settings.resolve(fn.trigger.Schedule)
	if err != nil {
		return err
	}
	fn.schedule, err = schedule.Parse(text)
	return err
}

// allows reports whether the trigger takes the method.
func (f *Function) allows(method string) bool {
	only := f.trigger.Methods
	return len(only) == 0 || slices.ContainsFunc(only, func(m string) bool { return strings.EqualFold(m, method) })
}

func (f *Function) sharesMethod(other *Function) bool {
	return len(other.trigger.Methods) == 0 || len(f.trigger.Methods) == 0 ||
		slices.ContainsFunc(other.trigger.Methods, f.allows)
}

// httpOnly reports whether the bindings are exactly an HTTP trigger and an
// HTTP output. Only such a function may be proxied or forwarded.
func (f *Function) httpOnly() bool {
	return len(f.Bindings) == 2 && f.trigger.is(httpTrigger) && f.httpOutput() != nil
}

func (f *Function) httpOutput() *Binding {
	for i := range f.Bindings {
		if b := &f.Bindings[i]; b.is(httpOutput) && b.isOutput() {
			return b
		}
	}
	return nil
}

// Match returns the function that gets a request, and the parameters of its
// route: the first in order whose method and route fit. Path is as a client
// writes it, percent-escapes included, without a query.
func (a *App) Match(method, path string) (fn *Function, params map[string]string, ok bool) {
	return a.match(method, serverPath(path))
}

// match is Match for a path as the host's own server decodes it.
func (a *App) match(method, path string) (*Function, map[string]string, bool) {
	for _, fn := range a.Functions {
		if !fn.trigger.is(httpTrigger) || !fn.allows(method) {
			continue
		}
		if params, ok := fn.route.match(path); ok {
			return fn, params, true
		}
	}
	return nil, nil, false
}

// function finds a function by name, without regard to case.
func (a *App) function(name string) (*Function, bool) {
	i := slices.IndexFunc(a.Functions, func(fn *Function) bool { return strings.EqualFold(fn.Name, name) })
	if i < 0 {
		return nil, false
	}
	return a.Functions[i], true
}
