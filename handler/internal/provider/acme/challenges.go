package acme

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/store"
)

// Challenges are the files of ACME's HTTP-01 (RFC 8555 section 8.3), which any
// instance of the app may be asked for while a CA validates.
type Challenges struct {
	Store store.Store
}

// challengeRecord is the document of a challenge's row.
type challengeRecord struct {
	Schema           int    `json:"schema"`
	KeyAuthorization string `json:"keyAuthorization"`
}

// challengeToken is the form of a token: base64url, which RFC 8555 demands and
// which cannot reach any other row.
var challengeToken = regexp.MustCompile(`^[0-9A-Za-z_-]{1,128}$`)

func challengeKey(token string) (string, error) {
	if !challengeToken.MatchString(token) {
		return "", fmt.Errorf("token %q is not base64url", field.Cut(token, 64))
	}
	return challengeRow + token, nil
}

// challengeRow begins the keys of challenges' rows.
const challengeRow = "t:"

// Put publishes a key authorization under its token.
func (c Challenges) Put(ctx context.Context, token, keyAuthorization string) error {
	key, err := challengeKey(token)
	if err != nil {
		return err
	}
	var tx store.Tx
	tx.Put(store.NewRow(key, "", challengeRecord{store.Schema, keyAuthorization}))
	_, err = c.Store.Commit(ctx, tx)
	return err
}

// Remove ends that. Removing a missing one is not an error.
func (c Challenges) Remove(ctx context.Context, token string) error {
	key, err := challengeKey(token)
	if err != nil {
		return err
	}
	var tx store.Tx
	tx.Remove(key)
	_, err = c.Store.Commit(ctx, tx)
	if _, gone := errors.AsType[*store.ConflictError](err); gone {
		return nil
	}
	return err
}

// Get returns the key authorization of a token; ErrNotFound when there is none,
// also when the token is not of a token's form.
func (c Challenges) Get(ctx context.Context, token string) (string, error) {
	key, err := challengeKey(token)
	if err != nil {
		return "", store.ErrNotFound
	}
	r, err := c.Store.Get(ctx, key)
	if err != nil {
		return "", err
	}
	var record challengeRecord
	if err := store.Decode(r, &record); err != nil {
		return "", err
	}
	return record.KeyAuthorization, nil
}
