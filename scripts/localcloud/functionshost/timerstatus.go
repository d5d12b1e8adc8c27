package functionshost

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// scheduleStatus is what the host stores of a timer and tells its function.
type scheduleStatus struct {
	Last        dotNetTime `json:"Last"` // start of the last run; the zero Time before the first
	Next        dotNetTime `json:"Next"`
	LastUpdated dotNetTime `json:"LastUpdated"` // what Next was counted from
}

// tick is the resolution of .NET's clock.
const tick = 100 * time.Nanosecond

// A dotNetTime is written as .NET writes a local time, with an offset even in UTC.
type dotNetTime struct{ time.Time }

// MarshalJSON implements [json.Marshaler].
func (t dotNetTime) MarshalJSON() ([]byte, error) {
	return json.Marshal(t.Format("2006-01-02T15:04:05.9999999-07:00"))
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *dotNetTime) UnmarshalJSON(text []byte) error { return t.Time.UnmarshalJSON(text) }

// A statusFile holds the status of one timer over runs of the host. With an
// empty path it holds nothing.
type statusFile struct{ path string }

func newStatusFile(dir, function string) *statusFile {
	if dir == "" {
		return &statusFile{}
	}
	return &statusFile{path: filepath.Join(dir, "Host.Functions."+function+".json")}
}

// read returns the status, or false if there is none.
func (f *statusFile) read() (status scheduleStatus, ok bool, err error) {
	if f.path == "" {
		return status, false, nil
	}
	text, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return status, false, nil
	}
	if err != nil {
		return status, false, err
	}
	if err := json.Unmarshal(text, &status); err != nil {
		return scheduleStatus{}, false, fmt.Errorf("reading %q: %w", f.path, err)
	}
	return status, true, nil
}

// write replaces the status as a whole.
func (f *statusFile) write(status scheduleStatus) error {
	if f.path == "" {
		return nil
	}
	text, err := json.Marshal(status)
	if err != nil {
		return fmt.Errorf("writing %q: %w", f.path, err)
	}
	if err := os.WriteFile(f.path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(f.path+".new", f.path)
}
