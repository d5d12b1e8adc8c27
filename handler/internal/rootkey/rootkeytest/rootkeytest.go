// Package rootkeytest makes keys for tests, of roots that are stored nowhere.
package rootkeytest

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/rootkey"
)

// The ids of the root and of the installation.
var (
	Root         = strings.Repeat("0a", rootkey.Size/2)
	Installation = strings.Repeat("0b", rootkey.Size/2)
)

// Fixed are the keys of a partition, always the same. change may alter of what they
// are made.
func Fixed(t testing.TB, partition string, change func(*rootkey.Config)) func(context.Context) (*rootkey.Keys, error) {
	t.Helper()
	cfg := rootkey.Config{
		Partition: partition, Installation: Installation,
		Current: rootkey.Secret{ID: Root, Value: bytes.Repeat([]byte{7}, rootkey.Size)},
	}
	if change != nil {
		change(&cfg)
	}
	keys, err := rootkey.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return func(context.Context) (*rootkey.Keys, error) { return keys, nil }
}
