package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
)

// Request is a request that changes something, as far as it takes to recognise
// it when it comes again: clients, and the Functions host, repeat a request whose
// answer they did not get.
type Request struct {
	Tenant, ObjectID, AppID string // the caller's
	Method, Path            string // Path without the host, in lower case, with the query
	ID                      string // x-ms-client-request-id; empty: the request is never recognised
	Content                 []byte // SHA-256 of the body
}

// WithRequest says whose changes those are that are made under the context. What
// is done without one is the vault's own work.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

type requestKey struct{}

// ownWork is ctx for what the vault does on its own account in the course of a
// request: the request does not change those objects.
func ownWork(ctx context.Context) context.Context {
	return context.WithValue(ctx, requestKey{}, nil)
}

// repeatWindow is for how long a request is recognised. It is longer than any SDK
// goes on retrying one request.
const repeatWindow = 5 * time.Minute

// errRepeated ends a change because an earlier try of the same request made it.
var errRepeated = errors.New("the request was sent before")

// notRepeated is the error of a change, nil when the change was made before.
func notRepeated(err error) error {
	if errors.Is(err, errRepeated) {
		return nil
	}
	return err
}

// done is the request that changed a certificate last. As long as nothing else
// has changed the certificate, the same request sent again is answered from what
// is stored.
type done struct {
	Mac []byte    `json:"mac"` // of the request, under a key of the vault: bodies hold passwords
	At  time.Time `json:"at"`

	// Operation is what the request deleted, without the provider's state.
	Operation *Operation `json:"operation,omitempty"`
}

// mac recognises the request of ctx; nil when there is none, it has no id, or there
// is no key.
func (v *Vault) mac(ctx context.Context) []byte {
	r, _ := ctx.Value(requestKey{}).(*Request)
	if r == nil || r.ID == "" || v.cfg.RequestKey == nil {
		return nil
	}
	key, err := v.cfg.RequestKey(ctx)
	if err != nil { // nothing that is signed can be read now: the change will say so
		return nil
	}
	h := hmac.New(sha256.New, key)
	for _, part := range []string{"certwright/request/1", r.Tenant, r.ObjectID, r.AppID, r.Method, r.Path, r.ID, string(r.Content)} {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(part))) //nolint:gosec // parts are bounded by the size of a request
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)[:16]
}

// repeats reports whether the request of ctx was the last that changed the
// certificate.
func (v *Vault) repeats(ctx context.Context, h *head) bool {
	if h.Done == nil || v.now().Sub(h.Done.At) >= repeatWindow {
		return false
	}
	mac := v.mac(ctx)
	return mac != nil && hmac.Equal(mac, h.Done.Mac)
}

// did makes the request of ctx the last that changed the certificate. The
// vault's own work leaves what is remembered as it is.
func (v *Vault) did(ctx context.Context, h *head) {
	if ctx.Value(requestKey{}) == nil {
		return
	}
	dropped := h.dropped
	h.Done, h.dropped = nil, nil
	if mac := v.mac(ctx); mac != nil {
		h.Done = &done{Mac: mac, At: v.now(), Operation: dropped}
	}
}

// removal is the document of a row that remembers a request by which something
// went away with its own row. It goes by itself, and nobody looks for it where
// there is an object again.
type removal struct {
	Schema   int           `json:"schema"`
	Mac      string        `json:"mac"`
	Until    time.Time     `json:"until"`
	Issuer   *issuerRecord `json:"issuer,omitempty"` // that was deleted, without its password
	Contacts []Contact     `json:"contacts,omitempty"`
	dueList
}

// remembered is a document whose removal by a request is remembered.
type remembered interface{ removal() removal }

// id names a removal: the same request may remove something again, once it is
// forgotten.
func (r *removal) id() string { return fmt.Sprintf("%s:%d", r.Mac, r.Until.UnixMilli()) }

func removalKey(id string) string { return "q:" + id }

func (r *removal) due() []due { return []due{{classPurge, r.Until, r.id(), kindForget, ""}} }

// rememberRemoval adds to a transaction that the request of ctx removed
// something.
func (v *Vault) rememberRemoval(ctx context.Context, tx *store.Tx, r removal) {
	mac := v.mac(ctx)
	if mac == nil {
		return
	}
	r.Schema, r.Mac, r.Until = store.Schema, hex.EncodeToString(mac), v.now().Add(repeatWindow)
	r.moveDue(tx, r.due(), nil)
	tx.Put(store.NewRow(removalKey(r.id()), "", &r))
}

// removed looks for what the request of ctx removed when it was sent before; nil
// when it was not. It costs a storage call, for requests that would be refused.
func (v *Vault) removed(ctx context.Context) (*removal, error) {
	mac := v.mac(ctx)
	if mac == nil {
		return nil, nil
	}
	const most = 4 // one, but for those that are to be forgotten
	rows, err := v.cfg.Store.Scan(ctx, store.Within(removalKey(hex.EncodeToString(mac)+":"), most))
	if err != nil {
		return nil, unavailable(err)
	}
	for _, row := range rows {
		r := new(removal)
		if row.Err != nil || decode(row, r) != nil { // it counts for nothing
			continue
		}
		if v.now().Before(r.Until) {
			return r, nil
		}
	}
	return nil, nil
}

// forget removes what remembers a request.
func (v *Vault) forget(ctx context.Context, id string) error {
	_, err := changeRow(ctx, v, removalKey(id), func(r *removal) (*removal, error) {
		if r == nil || v.now().Before(r.Until) {
			return nil, errLost
		}
		return nil, nil
	})
	return err
}
