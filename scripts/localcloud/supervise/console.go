package supervise

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// lineLimit bounds a line that is waiting for its end, in bytes.
const lineLimit = 64 << 10

// Console shares one terminal among several writers of whole lines.
type Console struct {
	// To is the terminal, or what stands for it.
	To io.Writer

	mu sync.Mutex
}

// Writer returns a writer that puts name before every line.
func (c *Console) Writer(name string) io.Writer {
	return &prefixed{console: c, prefix: fmt.Sprintf("%-10s| ", name)}
}

type prefixed struct {
	console *Console
	prefix  string
	mu      sync.Mutex
	pending []byte
}

// Write prints the lines that p completes, and longer ones in pieces.
func (w *prefixed) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, p...)
	for {
		end := bytes.IndexByte(w.pending, '\n')
		if end < 0 && len(w.pending) < lineLimit {
			return len(p), nil
		}
		line, rest := w.pending, []byte(nil)
		if end >= 0 {
			line, rest = w.pending[:end], w.pending[end+1:]
		}
		if err := w.console.printLine(w.prefix, line); err != nil {
			return len(p), err
		}
		w.pending = rest
	}
}

func (c *Console) printLine(prefix string, line []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := fmt.Fprintf(c.To, "%s%s\n", prefix, line)
	return err
}
