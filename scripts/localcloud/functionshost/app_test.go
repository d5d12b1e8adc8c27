package functionshost_test

// Apps: which functions there are, and which one a request matches.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

// httpFunction is a function.json with an HTTP trigger; methods is JSON.
func httpFunction(route, methods string) string {
	if methods != "" {
		methods = `,"methods":` + methods
	}
	return `{"bindings":[
		{"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","route":"` + route + `"` + methods + `},
		{"type":"http","direction":"out","name":"res"}]}`
}

// readApp reads an app that has only the given files and a host.json without a
// route prefix.
func readApp(t testing.TB, files map[string]string, environ ...string) *functionshost.App {
	t.Helper()
	all := map[string]string{"Echo/function.json": "", "Tick/function.json": ""}
	for name, text := range files {
		all[name] = text
	}
	app, err := functionshost.ReadApp(stage(t, all), environ)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func names(app *functionshost.App) string {
	var all []string
	for _, fn := range app.Functions {
		all = append(all, fn.Name)
	}
	return strings.Join(all, " ")
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	app := readApp(t, map[string]string{
		"zulu/function.json":         httpFunction("zulu", ""),
		"Bravo/function.json":        httpFunction("bravo", ""),
		"alpha/function.json":        httpFunction("alpha", ""),
		"a_b/function.json":          httpFunction("a_b", ""), // "_" sorts after letters, as .NET folds to upper case
		"aZ/function.json":           httpFunction("aZ", ""),
		"Off/function.json":          httpFunction("off", ""),
		"Off2/function.json":         httpFunction("off2", ""),
		"deep/er/function.json":      httpFunction("deeper", ""),
		"nothing/readme":             "x",
		"function.json":              httpFunction("root", ""),
		"9lives/function.json":       httpFunction("nine", ""),
		"HOST/function.json":         httpFunction("host", ""),
		"broken/function.json":       `{`,
		"empty/function.json":        `{"bindings":[]}`,
		"NoTrigger/function.json":    `{"bindings":[{"type":"http","direction":"out","name":"res"}]}`,
		"TwoTriggers/function.json":  `{"bindings":[{"type":"httpTrigger","name":"a"},{"type":"timerTrigger","name":"b"}]}`,
		"BadName/function.json":      `{"bindings":[{"type":"httpTrigger","name":"a-b"}]}`,
		"Queue/function.json":        `{"bindings":[{"type":"queueTrigger","name":"item"}]}`,
		"BadLevel/function.json":     `{"bindings":[{"type":"httpTrigger","name":"req","authLevel":"everyone"}]}`,
		"Script/function.json":       `{"scriptFile":"run.sh","bindings":[{"type":"httpTrigger","name":"req"}]}`,
		"Scripted/function.json":     `{"scriptFile":"run.sh","bindings":[{"type":"httpTrigger","name":"req"}]}`,
		"Scripted/run.sh":            "x",
		"Retry/function.json":        `{"retry":{"strategy":"fixedDelay"},"bindings":[{"type":"httpTrigger","name":"req"}]}`,
		"AdminThing/function.json":   `{"bindings":[{"type":"httpTrigger","name":"req"}]}`,
		"Reserved/function.json":     httpFunction("/Runtime-info", ""),
		"Conflict/function.json":     httpFunction("/ALPHA/", `["get"]`),
		"BadRoute/function.json":     httpFunction("a/{*x}/b", ""),
		"Unresolved/function.json":   `{"bindings":[{"type":"timerTrigger","name":"t","schedule":"%MISSING%"}]}`,
		"BadSchedule/function.json":  `{"bindings":[{"type":"timerTrigger","name":"t","schedule":"* * * * * 7"}]}`,
		"Timer/function.json":        `{"bindings":[{"type":"timerTrigger","name":"t","schedule":"%Schedule__Of__Timer%"}]}`,
		"WithReturn/function.json":   `{"bindings":[{"type":"httpTrigger","name":"req"},{"type":"http","direction":"out","name":"$return"}]}`,
		"LowerTrigger/function.json": `{"bindings":[{"type":"HTTPTRIGGER","direction":"IN","name":"req","authLevel":"Anonymous"}]}`,
		"TooLong" + strings.Repeat("x", 122) + "/function.json": httpFunction("long", ""),
	}, "AzureWebJobs.off.disabled=True", "AzureWebJobs_Off2_Disabled=1", "SCHEDULE:OF:TIMER=0 * * * * *")
	if got, want := names(app), "alpha aZ a_b Bravo LowerTrigger Scripted Timer WithReturn zulu"; got != want {
		t.Errorf("functions = %q, want %q", got, want)
	}
	dropped := map[string]string{}
	for _, err := range app.Dropped {
		_, rest, _ := strings.Cut(err.Error(), `"`)
		name, why, _ := strings.Cut(rest, `": `)
		dropped[name] = why
	}
	for name, why := range map[string]string{
		"9lives": "not a function name", "HOST": "not a function name", "TooLong" + strings.Repeat("x", 122): "not a function name",
		"broken": "reading function.json", "empty": "no bindings", "NoTrigger": "no trigger", "TwoTriggers": "more than one trigger",
		"BadName": "not a binding name", "Queue": "needs an extension", "BadLevel": "authLevel", "Script": "script file",
		"Retry": "retry", "AdminThing": "conflicts with the host's own", "Reserved": "conflicts with the host's own",
		"Conflict": `conflicts with that of function "alpha"`, "BadRoute": "must be last", "Unresolved": "does not resolve", "BadSchedule": "neither a cron expression",
	} {
		if !strings.Contains(dropped[name], why) {
			t.Errorf("function %q was dropped because %q, want %q", name, dropped[name], why)
		}
		delete(dropped, name)
	}
	if len(dropped) > 0 {
		t.Errorf("also dropped: %v", dropped)
	}
}

func TestAllowList(t *testing.T) {
	t.Parallel()
	app := readApp(t, map[string]string{
		"host.json":         `{"version":"2.0","functions":["b"],"customHandler":{"description":{"defaultExecutablePath":"x"}}}`,
		"A/function.json":   httpFunction("a", ""),
		"B/function.json":   httpFunction("b", ""),
		"Bad/function.json": "{",
	})
	if names(app) != "B" || len(app.Dropped) != 0 {
		t.Errorf("functions = %q, dropped %v", names(app), app.Dropped)
	}
	if _, _, ok := app.Match("GET", "/api/b"); !ok {
		t.Error("the default route prefix is not api")
	}
	if _, _, ok := app.Match("GET", "/b"); ok {
		t.Error("the route prefix was not demanded")
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	app := readApp(t, map[string]string{
		"CancelPending/function.json": httpFunction("certificates/{name}/pending", `["patch"]`),
		"Create/function.json":        httpFunction("certificates/{name}/create", `["POST"]`),
		"Pending/function.json":       httpFunction("certificates/{name}/pending", `["get","delete"]`),
		"VaultAll/function.json":      httpFunction("certificates/{*rest}", ""),
		"Optional/function.json":      httpFunction("optional/{x?}", ""),
		"Default/function.json":       httpFunction("default/{x=five}", ""),
		"Number/function.json":        httpFunction("number/{id:int}", ""),
		"Pattern/function.json":       httpFunction(`pattern/{id:regex(^a{{2}}/?$)}/{rest:minlength(2)}`, ""),
		"First/function.json":         httpFunction("order/{a}", ""),
		"Second/function.json":        httpFunction("order/second", ""),
		"Unrouted/function.json":      httpFunction("", ""),
		"ZRoot/function.json":         httpFunction("/", `["options"]`),
	})
	if len(app.Dropped) > 0 {
		t.Fatal(app.Dropped)
	}
	type params = map[string]string
	for _, test := range []struct {
		method, path, want string
		params             params
	}{
		{"POST", "/certificates/a/create", "Create", params{"name": "a"}},
		{"POST", "/Certificates/A/CREATE/", "Create", params{"name": "A"}},
		{"GET", "/certificates/a/create", "VaultAll", params{"rest": "a/create"}}, // a method is a constraint
		{"PATCH", "/certificates/a/pending", "CancelPending", params{"name": "a"}},
		{"DELETE", "/certificates/a/pending", "Pending", params{"name": "a"}},
		{"HEAD", "/certificates/a/pending", "VaultAll", params{"rest": "a/pending"}},
		{"GET", "/certificates", "VaultAll", params{}},
		{"GET", "/certificates/", "VaultAll", params{}},
		{"GET", "/certificates/a//b/", "VaultAll", params{"rest": "a//b/"}},
		{"GET", "/certificates//a", "", nil}, // no segment may be empty
		{"GET", "//certificates", "", nil},
		{"POST", "/certificates/a%2Fb/create", "Create", params{"name": "a%2Fb"}},
		{"POST", "/certificates/a%20b/%63reate", "Create", params{"name": "a b"}},
		{"POST", "/certificates/x/../a/create", "Create", params{"name": "a"}},
		{"POST", "/certificates/x/%2e%2E/a/./create", "Create", params{"name": "a"}},
		{"POST", "/certificates/../../optional", "Optional", params{}},
		{"GET", "/optional/y", "Optional", params{"x": "y"}},
		{"GET", "/optional/y/z", "", nil},
		{"GET", "/default", "Default", params{"x": "five"}},
		{"GET", "/default/six", "Default", params{"x": "six"}},
		{"GET", "/number/12", "Number", params{"id": "12"}},
		{"GET", "/number/x", "", nil},
		{"GET", "/number", "", nil},
		{"GET", "/pattern/AA/xy", "Pattern", params{"id": "AA", "rest": "xy"}},
		{"GET", "/pattern/aaa/xy", "", nil},
		{"GET", "/pattern/aa/x", "", nil},
		{"GET", "/order/second", "First", params{"a": "second"}}, // no literal takes precedence
		{"GET", "/unrouted", "Unrouted", params{}},
		{"OPTIONS", "/", "ZRoot", params{}},
		{"GET", "/", "", nil},
		{"GET", "", "", nil},
		{"OPTIONS", "*", "", nil},
	} {
		fn, got, ok := app.Match(test.method, test.path)
		name := ""
		if ok {
			name = fn.Name
		}
		if name != test.want || !cmp.Equal(test.params, got) {
			t.Errorf("%s %s = %q %v, want %q %v", test.method, test.path, name, got, test.want, test.params)
		}
	}
}

// TestConflict checks which routes count as the same: those with the same text
// and a common method. The one whose function sorts first stays.
func TestConflict(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ one, other, want string }{
		{httpFunction("a/{b}", `["get"]`), httpFunction("/A/{B}/", `["GET","put"]`), "F1"},
		{httpFunction("a/{b}", `["get"]`), httpFunction("a/{b}", `["put"]`), "F1 F2"},
		{httpFunction("a/{b}", `["get"]`), httpFunction("a/{b}", ""), "F1"},
		{httpFunction("a/{b}", `[]`), httpFunction("a/{b}", `["get"]`), "F1"},
		{httpFunction("a/{b}", ""), httpFunction("a/{c}", ""), "F1 F2"},
	} {
		app := readApp(t, map[string]string{"F1/function.json": test.one, "F2/function.json": test.other})
		if got := names(app); got != test.want {
			t.Errorf("%s and %s leave %q, want %q", test.one, test.other, got, test.want)
		}
	}
}

// TestStagedProject stages a project that keeps its functions in a folder of
// their own, the way another package's test can.
func TestStagedProject(t *testing.T) {
	t.Parallel()
	project, dist := t.TempDir(), t.TempDir()
	function := filepath.Join(project, "functions", "Health")
	if err := os.MkdirAll(function, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(function, "function.json"), []byte(httpFunction("health", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dist, os.DirFS(filepath.Join(project, "functions"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dist, "host.json"), []byte(hostJSON(t, "handler", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	app, err := functionshost.ReadApp(dist, nil)
	if err != nil {
		t.Fatal(err)
	}
	if fn, _, ok := app.Match("GET", "/health"); !ok || fn.Name != "Health" {
		t.Errorf("Match = %v, %v", fn, ok)
	}
}
