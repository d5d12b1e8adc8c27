package seal

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// A dekID identifies a wrapped DEK together with the KEK that wrapped it.
type dekID [sha256.Size]byte

// wrappedDEK returns the id of a wrapped DEK. KEK ids hold no NUL byte.
func wrappedDEK(kekID string, wrapped []byte) dekID {
	return sha256.Sum256(append([]byte(kekID+"\x00"), wrapped...))
}

// A dekCache remembers unwrapped DEKs, up to a number and an age, and forgets the
// least recently used first. It may be used concurrently.
type dekCache struct {
	limit  int
	maxAge time.Duration
	now    func() time.Time

	mu      sync.Mutex              // guards what follows
	recent  *list.List              // of cachedDEK, most recently used first
	entries map[dekID]*list.Element // of recent
}

type cachedDEK struct {
	id        dekID
	dek       []byte
	unwrapped time.Time
}

func newDEKCache(limit int, maxAge time.Duration, now func() time.Time) *dekCache {
	return &dekCache{
		limit:   limit,
		maxAge:  maxAge,
		now:     now,
		recent:  list.New(),
		entries: make(map[dekID]*list.Element),
	}
}

func (c *dekCache) get(id dekID) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[id]
	if !ok {
		return nil, false
	}
	entry := element.Value.(cachedDEK)
	if c.now().Sub(entry.unwrapped) >= c.maxAge {
		c.remove(element)
		return nil, false
	}
	c.recent.MoveToFront(element)
	return entry.dek, true
}

func (c *dekCache) put(id dekID, dek []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.entries[id]; ok {
		c.remove(element)
	}
	c.entries[id] = c.recent.PushFront(cachedDEK{id: id, dek: dek, unwrapped: c.now()})
	if c.recent.Len() > c.limit {
		c.remove(c.recent.Back())
	}
}

func (c *dekCache) remove(element *list.Element) {
	delete(c.entries, element.Value.(cachedDEK).id)
	c.recent.Remove(element)
}
