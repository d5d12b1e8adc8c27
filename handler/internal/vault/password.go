package vault

import (
	"context"
	"strings"

	"github.com/certwright/certwright/handler/internal/store"
)

// The kinds under which issuer passwords are sealed: for one issuer object and
// provider, and as 0.1.0 did it, for whatever has the name of the issuer.
const (
	sealedPassword   = "password"
	sealedCredential = "credential"
)

// passwordName names what an issuer's password is for: a new object, or the same one
// with another provider, has another.
func (r *issuerRecord) passwordName() string { return r.ID + ":" + strings.ToLower(r.Provider) }

// sealPassword gives an issuer a password.
func (v *Vault) sealPassword(ctx context.Context, r *issuerRecord, password []byte) error {
	id := v.newID()
	sealed, err := v.cfg.Seal(ctx, sealedPassword, r.passwordName(), id, password)
	if err != nil {
		return err
	}
	r.PasswordID, r.Password, r.Bound = id, sealed, true
	return nil
}

func (r *issuerRecord) dropPassword() { r.PasswordID, r.Password, r.Bound = "", nil, false }

// openPassword opens the password that an issuer has.
func (v *Vault) openPassword(ctx context.Context, n Name, r *issuerRecord) ([]byte, error) {
	if !r.Bound {
		return v.cfg.Open(ctx, sealedCredential, n.key(), r.PasswordID, r.Password)
	}
	return v.cfg.Open(ctx, sealedPassword, r.passwordName(), r.PasswordID, r.Password)
}

// resealIssuer makes the row of an issuer anew: its password sealed as passwords are
// today.
func (v *Vault) resealIssuer(ctx context.Context, row store.Row) (store.Row, error) {
	r := new(issuerRecord)
	if err := store.Decode(row, r); err != nil {
		return store.Row{}, err
	}
	if r.PasswordID != "" {
		password, err := v.openPassword(ctx, Name{r.Name}, r)
		if err != nil {
			return store.Row{}, err
		}
		defer clear(password)
		if err := v.sealPassword(ctx, r, password); err != nil {
			return store.Row{}, err
		}
	}
	r.Schema = store.Schema
	return store.NewRow(row.Key, row.Label, r), nil
}
