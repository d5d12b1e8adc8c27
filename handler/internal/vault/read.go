package vault

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// Certificate is what a reader sees of one version of a certificate, or of one
// that was never completed.
type Certificate struct {
	Name          string // as first written
	Version       string // 32 hex digits
	Previous      string // version that was the latest before this one; empty for the first
	Attributes    Attributes
	Tags          map[string]string
	Leaf          []byte         // DER; nil when never completed
	Thumbprint    []byte         // SHA-1 of Leaf
	ContentType   string         // of the backing secret; empty when never completed
	PreserveOrder *bool          // as it was sent; nil: it was not
	Policy        *policy.Policy // of the latest version only
	Pending       bool           // the certificate has a pending object
	Deletion      *Deletion      // when soft-deleted
}

// Attributes of a certificate. NotBefore and Expires are nil where they are not
// shown.
type Attributes struct {
	Enabled            bool
	NotBefore, Expires *time.Time
	Created, Updated   time.Time
	RecoverableDays    int
	RecoveryLevel      string
}

// Page asks for the part of a list that follows After, at most Max items.
type Page struct {
	After string // what the call for the page before returned; empty: from the start
	Max   int
}

// Certificate returns the latest version with its policy. One that was never
// completed is a disabled shell without a leaf.
//
// REST page: Get Certificate.
func (v *Vault) Certificate(ctx context.Context, n Name) (Certificate, error) {
	h, err := v.liveHead(ctx, n)
	if err != nil {
		return Certificate{}, err
	}
	return v.latest(h), nil
}

// CertificateVersion returns one version, without the policy.
//
// REST page: Get Certificate.
func (v *Vault) CertificateVersion(ctx context.Context, n Name, id string) (Certificate, error) {
	h, ver, err := v.headAndVersion(ctx, n, id)
	if err != nil {
		return Certificate{}, err
	}
	c := v.shell(h)
	if ver != nil {
		c = v.ofVersion(h, ver)
	}
	c.Pending = false
	return c, nil
}

// headAndVersion reads both rows at once. The version is nil when id is the
// provisional one of a certificate that was never completed.
func (v *Vault) headAndVersion(ctx context.Context, n Name, id string) (h *head, ver *version, err error) {
	var wg sync.WaitGroup
	var verErr error
	wg.Go(func() {
		ver = new(version)
		_, verErr = v.get(ctx, versionKey(n, id), ver)
	})
	h, err = v.liveHead(ctx, n)
	wg.Wait()
	switch {
	case err != nil:
		return nil, nil, err
	case errors.Is(verErr, store.ErrNotFound) && h.Latest == nil && h.Provisional == id:
		return h, nil, nil
	case errors.Is(verErr, store.ErrNotFound):
		return nil, nil, &Error{Reason: CertificateNotFound, Name: n.text + "/" + id}
	default:
		return h, ver, verErr
	}
}

// Certificates lists the latest versions of certificates by name, and where the
// next page begins. Certificates that were never completed are listed only with
// includePending.
//
// REST page: Get Certificates.
func (v *Vault) Certificates(ctx context.Context, p Page, includePending bool) ([]Certificate, string, error) {
	rows, next, err := v.page(ctx, "c:", p, listed(includePending))
	if err != nil {
		return nil, "", err
	}
	var list []Certificate
	for _, h := range readable[head](ctx, v, rows) {
		list = append(list, v.latest(h))
	}
	return list, next, nil
}

// Versions lists the versions of a certificate by id. Of a name that does not exist
// there are none.
//
// REST page: Get Certificate Versions.
func (v *Vault) Versions(ctx context.Context, n Name, p Page) ([]Certificate, string, error) {
	var wg sync.WaitGroup
	var h *head
	var headErr error
	wg.Go(func() { h, headErr = v.liveHead(ctx, n) })
	rows, next, err := v.page(ctx, versionKey(n, ""), p, nil)
	wg.Wait()
	if reasonOf(headErr) == CertificateNotFound {
		return nil, "", nil
	}
	if headErr != nil || err != nil {
		return nil, "", errors.Join(headErr, err)
	}
	var list []Certificate
	for _, ver := range readable[version](ctx, v, rows) {
		list = append(list, v.ofVersion(h, ver))
	}
	return list, next, nil
}

// listed are the labels of what a list of certificates shows.
func listed(includePending bool) []string {
	labels := []string{labelCertificate, labelCertificate + markOpen, labelCertificate + markFailed}
	if includePending {
		labels = append(labels, labelShell, labelShell+markOpen, labelShell+markFailed)
	}
	return labels
}

// page reads one page of the rows under prefix, and the part of the last key
// behind it as the start of the next page.
func (v *Vault) page(ctx context.Context, prefix string, p Page, labels []string) ([]store.Row, string, error) {
	r := store.Within(prefix, p.Max+1)
	r.Labels = labels
	if p.After != "" {
		r.From = prefix + p.After + "!" // the lowest character above none and below all of a name
	}
	rows, err := v.cfg.Store.Scan(ctx, r)
	if err != nil {
		return nil, "", unavailable(err)
	}
	if len(rows) <= p.Max {
		return rows, "", nil
	}
	rows = rows[:p.Max]
	return rows, rows[p.Max-1].Key[len(prefix):], nil
}

// latest is the certificate as GET without a version shows it.
func (v *Vault) latest(h *head) Certificate {
	if h.Latest == nil {
		return v.withPolicy(v.shell(h), h)
	}
	return v.withPolicy(v.ofVersion(h, h.Latest), h)
}

func (v *Vault) withPolicy(c Certificate, h *head) Certificate {
	c.Policy = &h.Policy
	return c
}

func (v *Vault) ofVersion(h *head, ver *version) Certificate {
	return Certificate{
		Name:     h.Name,
		Version:  ver.ID,
		Previous: ver.Previous,
		Attributes: v.recovery(Attributes{
			Enabled:   ver.Enabled,
			NotBefore: &ver.NotBefore,
			Expires:   &ver.Expires,
			Created:   ver.Created,
			Updated:   ver.Updated,
		}),
		Tags:          ver.Tags,
		Leaf:          ver.Leaf,
		Thumbprint:    ver.Thumbprint,
		ContentType:   ver.ContentType,
		PreserveOrder: ver.PreserveOrder,
		Pending:       h.Operation != nil,
		Deletion:      h.Deletion,
	}
}

// shell is a certificate that was never completed: disabled, with the validity
// that was asked for.
func (v *Vault) shell(h *head) Certificate {
	notBefore, expires := h.Policy.X509.Validity(h.Created)
	c := Certificate{
		Name:       h.Name,
		Version:    h.Provisional,
		Attributes: v.recovery(Attributes{NotBefore: &notBefore, Expires: &expires, Created: h.Created, Updated: h.Created}),
		Pending:    h.Operation != nil,
		Deletion:   h.Deletion,
	}
	own := h.shell()
	c.Tags, c.PreserveOrder = own.Tags, own.PreserveOrder
	if own.Updated.After(h.Created) {
		c.Attributes.Updated = own.Updated
	}
	return c
}

func (v *Vault) recovery(a Attributes) Attributes {
	a.RecoverableDays, a.RecoveryLevel = v.cfg.RecoverableDays, v.recoveryLevel()
	return a
}
