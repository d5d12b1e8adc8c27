package functionshost

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// settings are the host's configuration and the handler's environment: entries
// "NAME=value", of which the last counts.
type settings []string

// lookup finds a setting the way .NET configuration does: without regard to
// case, and "A__B" of the environment also under "A:B".
func (s settings) lookup(name string) (string, bool) {
	key := func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "__", ":")) }
	for _, entry := range slices.Backward(s) {
		if k, v, ok := strings.Cut(entry, "="); ok && key(k) == key(name) {
			return v, true
		}
	}
	return "", false
}

// isTrue reports whether the setting is "true" or "1".
func (s settings) isTrue(name string) bool {
	v, _ := s.lookup(name)
	return strings.EqualFold(v, "true") || v == "1"
}

// resolve replaces a text that is "%NAME%" as a whole by that setting.
func (s settings) resolve(text string) (string, error) {
	name := strings.Trim(text, "%")
	if name == "" || strings.Contains(name, "%") || text != "%"+name+"%" {
		return text, nil
	}
	value, ok := s.lookup(name)
	if !ok || value == "" {
		return "", fmt.Errorf("%q does not resolve to a value", text)
	}
	return value, nil
}

// expand replaces every "%NAME%" in text by the environment variable and
// deletes what is not set, as the host does for command lines.
func (s settings) expand(text string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "%")
		name, after, closed := strings.Cut(rest, "%")
		if !ok || !closed {
			out.WriteString(text)
			return out.String()
		}
		value, _ := s.lookup(name)
		out.WriteString(before + value)
		text = after
	}
}

// has reports whether the environment has the variable, by its exact name.
func (s settings) has(name string) bool {
	return slices.ContainsFunc(s, func(entry string) bool {
		k, _, _ := strings.Cut(entry, "=")
		return k == name
	})
}

// localSettings is local.settings.json, which only exists for local runs.
type localSettings struct {
	IsEncrypted       *bool              `json:"IsEncrypted"` // true if absent
	Values            map[string]*string `json:"Values"`
	ConnectionStrings map[string]any     `json:"ConnectionStrings"`
	Host              struct {
		LocalHTTPPort int `json:"LocalHttpPort"`
	} `json:"Host"`
}

// readLocalSettings reads the file in root. If there is none, the result is empty.
func readLocalSettings(root string) (localSettings, error) {
	const name = "local.settings.json"
	var local localSettings
	text, err := os.ReadFile(filepath.Join(root, name))
	if errors.Is(err, fs.ErrNotExist) {
		return local, nil
	}
	if err != nil {
		return local, fmt.Errorf("reading %s: %w", name, err)
	}
	if err := json.Unmarshal(text, &local); err != nil {
		return local, fmt.Errorf("reading %s: %w", name, err)
	}
	if local.IsEncrypted == nil || *local.IsEncrypted {
		return local, fmt.Errorf("reading %s: its values count as encrypted unless it says \"IsEncrypted\": false", name)
	}
	return local, nil
}

// addTo returns environ with the values of the file added. What the
// environment has already wins.
func (l localSettings) addTo(environ settings) settings {
	merged := slices.Clone(environ)
	add := func(name, value string) {
		if !environ.has(name) {
			merged = append(merged, name+"="+value)
		}
	}
	for name, value := range l.Values {
		if value != nil {
			add(name, *value)
		}
	}
	for name, value := range l.ConnectionStrings {
		if text, ok := value.(string); ok {
			add("ConnectionStrings:"+name, text)
		}
	}
	return merged
}
