package vault

import (
	"context"
	"errors"

	"github.com/certwright/certwright/handler/internal/store"
)

// The row keys of the package comment.
func headKey(n Name) string               { return "c:" + n.key() }
func versionKey(n Name, id string) string { return "v:" + n.key() + ":" + id }
func keyRowKey(n Name, id string) string  { return "k:" + n.key() + ":" + id }
func markerKey(n Name) string             { return "x:" + n.key() }
func issuerKey(n Name) string             { return "i:" + n.key() }
func releaseKey(requestID string) string  { return "r:" + requestID }
func revocationKey(id string) string      { return "w:" + id }

const (
	heartbeatKey = "s:heartbeat"
	contactsKey  = "s:contacts"
	sweepKey     = "s:sweep"
	migrationKey = "s:migrate"
)

func chainBlob(n Name, versionID string) string { return n.key() + "/" + versionID + ".pem" }

// get reads one document and its ETag; ErrNotFound when it is not there.
func (v *Vault) get(ctx context.Context, key string, doc any) (store.ETag, error) {
	r, err := v.row(ctx, key)
	if err != nil {
		return "", err
	}
	return r.ETag, decode(r, doc)
}

// row reads one row; ErrNotFound when it is not there.
func (v *Vault) row(ctx context.Context, key string) (store.Row, error) {
	r, err := v.cfg.Store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return store.Row{}, store.ErrNotFound
	}
	if errors.Is(err, store.ErrNotAuthentic) {
		return store.Row{}, &unreadableError{store.Row{Key: key}, err}
	}
	if err != nil {
		return store.Row{}, unavailable(err)
	}
	return r, nil
}

// decode reads a document. One that cannot be read is an unreadableError.
func decode(r store.Row, doc any) error {
	if err := store.Decode(r, doc); err != nil {
		return newer(&unreadableError{r, err})
	}
	return nil
}

// newer makes store.ErrNewer one of the vault: callers try again, and may meet a
// process that knows the document.
func newer(err error) error {
	if errors.Is(err, store.ErrNewer) {
		return &Error{Reason: Unavailable, Err: err}
	}
	return err
}

// checkWrite refuses to rewrite what only a newer program may.
func checkWrite(r store.Row) error { return newer(store.CheckWrite(r)) }

// unavailable makes a failure of the store one of the vault.
func unavailable(err error) error {
	switch {
	case reasonOf(err) != 0:
		return err
	case errors.Is(err, store.ErrTooLarge):
		return tooLarge(err)
	case errors.Is(err, store.ErrThrottled):
		return &Error{Reason: Throttled, Err: err}
	default:
		return &Error{Reason: Unavailable, Err: err}
	}
}

// head reads the head of a name; the zero head when there is none.
func (v *Vault) head(ctx context.Context, n Name) (*head, error) {
	h := new(head)
	etag, err := v.get(ctx, headKey(n), h)
	if errors.Is(err, store.ErrNotFound) {
		return new(head), nil
	}
	h.etag = etag
	return h, err
}

// liveHead reads the head of a certificate that exists and is not deleted.
func (v *Vault) liveHead(ctx context.Context, n Name) (*head, error) {
	h, err := v.head(ctx, n)
	if err != nil {
		return nil, err
	}
	return h, h.checkLive(n)
}

func (h *head) checkLive(n Name) error {
	if !h.stored() || h.Deletion != nil || h.Restore != nil {
		return &Error{Reason: CertificateNotFound, Name: n.text}
	}
	return nil
}
