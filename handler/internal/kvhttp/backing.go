package kvhttp

import (
	"context"
	"errors"

	"github.com/certwright/certwright/handler/internal/vault"
)

// backing is a kind of object that a certificate brings with it: each of its
// versions has a secret and a key of the same name and version. They are read on
// their own, but only the certificate changes. There are no others in this vault.
type backing struct {
	noun     string // as in sentences
	title    string // as in codes
	notFound vault.Reason
}

var (
	backingSecret = backing{"secret", "Secret", vault.SecretNotFound}
	backingKey    = backing{"key", "Key", vault.KeyNotFound}
)

func isMissing(err error) bool {
	e, ok := errors.AsType[*vault.Error](err)
	return ok && e.Reason == vault.CertificateNotFound
}

// missing is the error of an object whose certificate was not found.
func (b backing) missing(c *call) error {
	return &vault.Error{Reason: b.notFound, Name: c.name.String()}
}

// refuse is a route that would change an object: the certificate is to be changed
// instead.
func (b backing) refuse(operation string) func(context.Context, *call) (reply, error) {
	return func(ctx context.Context, c *call) (reply, error) {
		_, err := c.vault.Certificate(ctx, c.name)
		switch {
		case isMissing(err):
			return reply{}, b.missing(c)
		case err != nil:
			return reply{}, err
		default:
			return reply{}, b.managed(operation)
		}
	}
}

// refuseNew is a route that would make an object, or change one that is there.
func (b backing) refuseNew(operation string) func(context.Context, *call) (reply, error) {
	return func(ctx context.Context, c *call) (reply, error) {
		_, err := c.vault.Certificate(ctx, c.name)
		switch {
		case isMissing(err):
			return reply{}, b.unmanaged(operation)
		case err != nil:
			return reply{}, err
		default:
			return reply{}, b.managed(operation)
		}
	}
}

// refuseRestore is a route that would make an object of any name.
func (b backing) refuseRestore(context.Context, *call) (reply, error) {
	return reply{}, b.unmanaged("restore")
}

// refuseDeleted is a route that would change a deleted object: what a certificate
// brought with it goes and comes back with it.
func (b backing) refuseDeleted(operation string) func(context.Context, *call) (reply, error) {
	return func(ctx context.Context, c *call) (reply, error) {
		if _, err := c.vault.DeletedKey(ctx, c.name); err != nil {
			return reply{}, b.deletedError(c, err)
		}
		return reply{}, b.managed(operation)
	}
}

// deletedError is err in the words for an object that is not found among the deleted.
func (b backing) deletedError(c *call, err error) error {
	if e, ok := errors.AsType[*vault.Error](err); ok && e.Reason == vault.DeletedNotFound {
		return b.deletedNotFound(c.name)
	}
	return err
}

// listNoneDeleted is the list of deleted objects, where those of certificates do not
// show; by name they do.
func listNoneDeleted(_ context.Context, c *call) (reply, error) {
	if _, err := c.certificatePage(); err != nil {
		return reply{}, err
	}
	return ok(list[struct{}]{Value: []struct{}{}}), nil
}

// listBacking shows a page of all objects of a kind, at path.
func listBacking[W any](ctx context.Context, c *call, path string, show func(vault.Certificate) W) (reply, error) {
	p, err := c.certificatePage()
	if err != nil {
		return reply{}, err
	}
	certs, after, err := c.vault.Certificates(ctx, p, false)
	if err != nil {
		return reply{}, err
	}
	return showPage(c, path, p, certs, after, show), nil
}

// listBackingVersions shows a page of the versions of an object.
func listBackingVersions[W any](ctx context.Context, c *call, b backing, show func(vault.Certificate) W) (reply, error) {
	p, err := c.versionPage()
	if err != nil {
		return reply{}, err
	}
	versions, after, err := c.vault.Versions(ctx, c.name, p)
	if err != nil {
		return reply{}, err
	}
	return showPage(c, b.noun+"s/"+c.name.String()+"/versions", p, versions, after, show), nil
}
