package functionshost

import (
	"bytes"
	"slices"
	"sync"
)

const (
	maxLine   = 64 << 10 // longer lines are cut in pieces
	lastLines = 3        // kept for the report of a failure
)

// A lineWriter hands what is written to it to emit, line by line.
type lineWriter struct {
	emit func(line string)

	mu     sync.Mutex
	buffer []byte
	recent []string
}

func newLineWriter(emit func(string)) *lineWriter { return &lineWriter{emit: emit} }

// Write never fails.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buffer = append(w.buffer, p...)
	for {
		end := bytes.IndexByte(w.buffer, '\n')
		switch {
		case end >= 0 && end <= maxLine:
			w.line(bytes.TrimSuffix(w.buffer[:end], []byte("\r")))
			w.buffer = w.buffer[end+1:]
		case len(w.buffer) > maxLine:
			w.line(w.buffer[:maxLine])
			w.buffer = w.buffer[maxLine:]
		default:
			w.buffer = slices.Clone(w.buffer) // let go of the lines before it
			return len(p), nil
		}
	}
}

func (w *lineWriter) line(text []byte) {
	w.recent = append(w.recent, string(text))
	w.recent = w.recent[max(0, len(w.recent)-lastLines):]
	w.emit(string(text))
}

// flush emits a last line that has no end.
func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buffer) > 0 {
		w.line(w.buffer)
		w.buffer = nil
	}
}

// last returns the last few lines.
func (w *lineWriter) last() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.recent)
}
