package memory

import "maps"

// Kind is a method of store.Store.
type Kind string

// The kinds of call.
const (
	Get        Kind = "get"
	Scan       Kind = "scan"
	Commit     Kind = "commit"
	PutBlob    Kind = "put blob"
	GetBlob    Kind = "get blob"
	DeleteBlob Kind = "delete blob"
)

// Calls counts calls to the storage service by kind; a Scan counts once per
// thousand rows begun. Calls that a store refuses without asking the service do
// not count.
type Calls map[Kind]int

// Total is the number of all calls.
func (c Calls) Total() int {
	n := 0
	for _, count := range c {
		n += count
	}
	return n
}

// Calls returns the calls since the store was made or since ResetCalls.
func (m *Store) Calls() Calls {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == nil {
		return Calls{}
	}
	return maps.Clone(m.calls)
}

// ResetCalls starts counting again.
func (m *Store) ResetCalls() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = nil
}

// count needs m.mu.
func (m *Store) count(kind Kind, n int) {
	if n == 0 {
		return
	}
	if m.calls == nil {
		m.calls = make(Calls)
	}
	m.calls[kind] += n
}
