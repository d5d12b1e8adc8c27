package root

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/store"
)

// schema is that of a root's document. Release 0.1.0 leaves it alone.
const schema = 2

// document is a root as it is stored.
type document struct {
	Schema        int       `json:"schema"`
	ID            string    `json:"id"`
	Installation  string    `json:"installation"`
	KEK           string    `json:"kek"` // the version that wrapped and signed it
	Wrapped       []byte    `json:"wrapped"`
	Created       time.Time `json:"created"`
	UnsignedUntil time.Time `json:"unsignedUntil,omitzero"`
	Signature     []byte    `json:"signature"`
}

// currentKey is the row of the root under which everything is written.
const currentKey = "s:root"

// earlierKey is the row of a root that was replaced and still counts.
func earlierKey(id string) string { return currentKey + ":" + id }

// blobName is the blob that holds a root once more.
func blobName(id string) string { return "root/" + id + ".json" }

// message is what the key-encryption key signs.
func (d *document) message(partition string) []byte {
	var b []byte
	for _, field := range []string{
		"certwright/root/1", partition, d.ID, d.Installation, d.KEK, string(d.Wrapped),
		strconv.FormatInt(d.Created.UnixMilli(), 10), millis(d.UnsignedUntil),
	} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(field))) //nolint:gosec // at most store.MaxDoc
		b = append(b, field...)
	}
	return b
}

func millis(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return strconv.FormatInt(at.UnixMilli(), 10)
}

// row is the document under a key.
func (d *document) row(key string) store.Row { return store.NewRow(key, "", d) }

// parse reads a document. Nothing vouches for it yet.
func parse(text []byte) (*document, error) {
	d := new(document)
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("reading a root: %w", err)
	}
	if d.Schema != schema {
		return nil, fmt.Errorf("a root has schema %d, this program knows %d", d.Schema, schema)
	}
	if !rootkey.IsID(d.ID) || !rootkey.IsID(d.Installation) {
		return nil, fmt.Errorf("a root has the id %q and the installation %q: must be 32 hexadecimal digits", d.ID, d.Installation)
	}
	return d, nil
}

// verify refuses a document that the key-encryption key did not sign.
func (k *Keeper) verify(ctx context.Context, d *document) error {
	return k.cfg.KEK.Verify(ctx, d.KEK, d.message(k.cfg.Partition), d.Signature)
}

// wrap wraps a secret and signs the document, with the current version of the
// key-encryption key.
func (k *Keeper) wrap(ctx context.Context, d *document, secret []byte) (err error) {
	if d.KEK, d.Wrapped, err = k.cfg.KEK.Wrap(ctx, k.cfg.Rand, secret); err != nil {
		return err
	}
	return k.sign(ctx, d)
}

// sign signs a document with the version that wrapped it.
func (k *Keeper) sign(ctx context.Context, d *document) (err error) {
	d.Signature, err = k.cfg.KEK.Sign(ctx, d.KEK, d.message(k.cfg.Partition))
	return err
}
