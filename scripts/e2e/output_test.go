package e2e

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
)

// transcript is the output of a process.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// handlerLog is what a handler has logged. The Functions host writes it line by
// line.
type handlerLog struct{ transcript }

// record is one line of the handler's log. Fields that a line does not have are
// zero.
type record struct {
	Level       string `json:"level"`
	Message     string `json:"msg"`
	Certificate string `json:"certificate"`
	RequestID   string `json:"request_id"`
	Outcome     string `json:"outcome"`
}

// records returns the lines with the message. A line that is cut off by the end of
// its process is left out.
func (l *handlerLog) records(message string) []record {
	var found []record
	for line := range strings.Lines(l.String()) {
		var r record
		if json.Unmarshal([]byte(line), &r) == nil && r.Message == message {
			found = append(found, r)
		}
	}
	return found
}
