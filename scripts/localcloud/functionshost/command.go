package functionshost

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// command is the executable and arguments of the handler, and the directory to
// run it in. The host joins the arguments with spaces and lets them be split
// again, so an argument with spaces becomes several.
func (a *App) command() (command []string, dir string) {
	d := a.host.CustomHandler.Description
	exe := a.settings.expand(d.DefaultExecutablePath)
	if !filepath.IsAbs(exe) {
		// What is not a file there is looked up on PATH.
		if path := filepath.Join(a.under(d.WorkerDirectory), exe); isFile(path) {
			exe = path
		}
	}
	line := make([]string, 0, len(d.Arguments)+len(d.WorkerArguments)+1)
	for _, argument := range d.Arguments {
		line = append(line, a.settings.expand(argument))
	}
	if d.DefaultWorkerPath != "" {
		line = append(line, `"`+a.settings.expand(d.DefaultWorkerPath)+`"`)
	}
	for _, argument := range d.WorkerArguments {
		line = append(line, a.settings.expand(argument))
	}
	return append([]string{exe}, splitCommandLine(strings.Join(line, " "))...), a.under(d.WorkingDirectory)
}

// under is path relative to the app's root.
func (a *App) under(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(a.root, path)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// splitCommandLine splits at spaces outside double quotes; a backslash before
// a quote makes it a character.
func splitCommandLine(line string) []string {
	var arguments []string
	var current strings.Builder
	started, quoted := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line) && line[i+1] == '"':
			current.WriteByte('"')
			started = true
			i++
		case c == '"':
			started, quoted = true, !quoted
		case (c == ' ' || c == '\t') && !quoted:
			if started {
				arguments = append(arguments, current.String())
			}
			current.Reset()
			started = false
		default:
			current.WriteByte(c)
			started = true
		}
	}
	if started {
		arguments = append(arguments, current.String())
	}
	return arguments
}

// fixedPort is the port of host.json for the handler; 0 if there is none.
func (a *App) fixedPort() (int, error) {
	port := a.host.CustomHandler.Port
	if port == nil {
		return 0, nil
	}
	n, err := strconv.ParseUint(port.String(), 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("customHandler.port %q is not a port", port.String())
	}
	return int(n), nil
}
