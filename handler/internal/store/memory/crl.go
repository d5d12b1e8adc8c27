package memory

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/certwright/certwright/handler/internal/store"
)

// CRLs is a store.CRLs in memory. The zero value is empty and ready to use, by
// any number of goroutines.
type CRLs struct {
	mu    sync.Mutex // guards all fields
	crls  map[string]savedCRL
	saves int // so far; makes ETags that do not come again
}

type savedCRL struct {
	der  []byte
	etag string
}

// LoadCRL implements store.CRLs.
func (m *CRLs) LoadCRL(_ context.Context, ca string) ([]byte, string, error) {
	name, err := store.CRLName(ca)
	if err != nil {
		return nil, "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	saved := m.crls[name]
	return bytes.Clone(saved.der), saved.etag, nil
}

// SaveCRL implements store.CRLs.
func (m *CRLs) SaveCRL(_ context.Context, ca string, crl []byte, etag string) error {
	name, err := store.CRLName(ca)
	if err != nil {
		return err
	}
	if len(crl) > store.MaxCRL {
		return fmt.Errorf("CRL %q holds %d bytes: must be at most %d", name, len(crl), store.MaxCRL)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.crls[name].etag != etag {
		return &store.ConflictError{Key: name}
	}
	if m.crls == nil {
		m.crls = make(map[string]savedCRL)
	}
	m.saves++
	m.crls[name] = savedCRL{bytes.Clone(crl), strconv.Itoa(m.saves)}
	return nil
}
