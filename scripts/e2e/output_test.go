package e2e

// Logs of processes, as the tests read them.

import (
	"bytes"
	"encoding/json"
	"slices"
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
type handlerLog struct {
	transcript
	mu   sync.Mutex
	all  []record
	more chan struct{} // closed at the next line; nil while nobody waits
}

// record is one line of the handler's log. Fields that a line does not have are
// zero.
type record struct {
	Level       string `json:"level"`
	Message     string `json:"msg"`
	Certificate string `json:"certificate"`
	RequestID   string `json:"request_id"`
	Outcome     string `json:"outcome"`
}

// Write takes one line. One that the end of its process has cut off is not a record.
func (l *handlerLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var r record
	if json.Unmarshal(line, &r) == nil {
		l.all = append(l.all, r)
	}
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.transcript.Write(line)
}

// records returns the lines with the message.
func (l *handlerLog) records(message string) []record {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []record
	for _, r := range l.all {
		if r.Message == message {
			found = append(found, r)
		}
	}
	return found
}

// next is closed when a line with the message has come after this call, or when
// stop is.
func (l *handlerLog) next(message string, stop <-chan struct{}) <-chan struct{} {
	l.mu.Lock()
	from := len(l.all)
	l.mu.Unlock()
	came := make(chan struct{})
	go func() {
		defer close(came)
		for {
			l.mu.Lock()
			if slices.ContainsFunc(l.all[from:], func(r record) bool { return r.Message == message }) {
				l.mu.Unlock()
				return
			}
			if l.more == nil {
				l.more = make(chan struct{})
			}
			more := l.more
			from = len(l.all)
			l.mu.Unlock()
			select {
			case <-more:
			case <-stop:
				return
			}
		}
	}()
	return came
}
