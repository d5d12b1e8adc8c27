package kvhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/certwright/certwright/handler/internal/vault"
)

// backing is a kind of object that a certificate brings with it: each of its
// versions has a secret and a key of the same name and version. They are read on
// their own, but only the certificate changes. There are no others in this vault.
type backing struct {
	noun     string // as in messages
	title    string
	notFound vault.Reason
	code     string // when not found, of deleted ones
	managed  string // inner code of a refusal
}

var (
	backingSecret = backing{"secret", "Secret", vault.SecretNotFound, "SecretNotFound", "SecretManagedByKeyVault"}
	backingKey    = backing{"key", "Key", vault.KeyNotFound, "KeyNotFound", "KeyManagedByKeyVault"}
)

// asMissing makes the error of a certificate that is not there one of the object.
func (b backing) asMissing(err error) error {
	if e, ok := errors.AsType[*vault.Error](err); ok && e.Reason == vault.CertificateNotFound {
		return &vault.Error{Reason: b.notFound, Name: e.Name, Err: e.Err}
	}
	return err
}

// refuse is a route that would change an object: it says that the certificate is
// to be changed instead.
func (b backing) refuse(operation string) func(context.Context, *call) (reply, error) {
	return func(ctx context.Context, c *call) (reply, error) {
		if _, err := c.vault.Certificate(ctx, c.name); err != nil {
			return reply{}, b.asMissing(err)
		}
		return reply{}, &failure{
			status: http.StatusForbidden,
			code:   "Forbidden",
			inner:  b.managed,
			message: fmt.Sprintf("Operation %q is not allowed on this %s, since it is associated with a certificate. Perform the operation on the corresponding certificate. "+
				"For more information refer to https://docs.microsoft.com/en-us/azure/key-vault/certificates/about-certificates#composition-of-a-certificate", operation, b.noun),
		}
	}
}

// refuseNew is a route that would make an object, or change one that is there.
func (b backing) refuseNew(operation string) func(context.Context, *call) (reply, error) {
	refuse := b.refuse(operation)
	return func(ctx context.Context, c *call) (reply, error) {
		if c.name != (vault.Name{}) {
			_, err := refuse(ctx, c)
			if e, ok := errors.AsType[*vault.Error](err); !ok || e.Reason != b.notFound {
				return reply{}, err
			}
		}
		return reply{}, &failure{
			status:  http.StatusForbidden,
			code:    "Forbidden",
			message: fmt.Sprintf("Operation %q is not allowed, since this vault has only the %ss of its certificates. Create or import a certificate instead.", operation, b.noun),
		}
	}
}

// noneDeleted is a route about a deleted object. What a deleted certificate
// brought with it goes and comes back with it, and does not show.
func (b backing) noneDeleted(_ context.Context, c *call) (reply, error) {
	return reply{}, &failure{
		status:  http.StatusNotFound,
		code:    b.code,
		message: "Deleted " + b.title + " not found: " + c.name.String(),
	}
}

// listNoneDeleted is the list of deleted objects.
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
		return reply{}, b.asMissing(err)
	}
	return showPage(c, b.noun+"s/"+c.name.String()+"/versions", p, versions, after, show), nil
}
