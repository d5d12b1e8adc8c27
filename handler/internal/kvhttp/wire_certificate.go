package kvhttp

import "github.com/certwright/certwright/handler/internal/vault"

// bundle is a CertificateBundle or, with a recovery id, a
// DeletedCertificateBundle.
type bundle struct {
	deletion
	ID            string             `json:"id"`
	KeyID         string             `json:"kid,omitempty"` // this and the next three: once there is a certificate
	SecretID      string             `json:"sid,omitempty"`
	Thumbprint    string             `json:"x5t,omitempty"` // base64url
	Certificate   string             `json:"cer,omitempty"` // base64
	Attributes    attributes         `json:"attributes"`
	Tags          map[string]string  `json:"tags,omitzero"`               // {} when {} was sent
	Policy        *certificatePolicy `json:"policy,omitempty"`            // where no version was named
	Pending       *link              `json:"pending,omitempty"`           // while there is a pending object
	PreserveOrder *bool              `json:"preserveCertOrder,omitempty"` // as it was sent
}

// item is a CertificateItem or, with a recovery id, a DeletedCertificateItem.
type item struct {
	deletion
	ID         string            `json:"id"`
	Thumbprint string            `json:"x5t,omitempty"`
	Attributes attributes        `json:"attributes"`
	Tags       map[string]string `json:"tags,omitzero"`
	Subject    *string           `json:"subject,omitempty"` // always empty; not of deleted ones
}

// deletion is what deleted certificates have besides.
type deletion struct {
	RecoveryID         string `json:"recoveryId,omitempty"`
	DeletedDate        *int64 `json:"deletedDate,omitempty"`
	ScheduledPurgeDate *int64 `json:"scheduledPurgeDate,omitempty"`
}

type createParams struct {
	Policy        *certificatePolicy `json:"policy"`
	Attributes    *attributes        `json:"attributes"`
	Tags          map[string]string  `json:"tags"`
	PreserveOrder *bool              `json:"preserveCertOrder"`
}

func (p *createParams) params(clientRequestID string) (vault.CreateParams, error) {
	attributes, err := p.Attributes.params()
	return vault.CreateParams{
		Policy:          p.Policy.params(),
		Attributes:      attributes,
		Tags:            p.Tags,
		PreserveOrder:   p.PreserveOrder,
		ClientRequestID: clientRequestID,
	}, err
}

type mergeParams struct {
	X5C        []string          `json:"x5c"`
	Attributes *attributes       `json:"attributes"`
	Tags       map[string]string `json:"tags"`
}

func (p *mergeParams) params() (vault.MergeParams, error) {
	attributes, err := p.Attributes.params()
	return vault.MergeParams{X5C: p.X5C, Attributes: attributes, Tags: p.Tags}, err
}

type importParams struct {
	Value         string             `json:"value"` // base64 of PKCS #12, PEM, or base64 of PEM
	Password      string             `json:"pwd"`
	Policy        *certificatePolicy `json:"policy"`
	Attributes    *attributes        `json:"attributes"`
	Tags          map[string]string  `json:"tags"`
	PreserveOrder *bool              `json:"preserveCertOrder"`
}

func (p *importParams) params() (vault.ImportParams, error) {
	attributes, err := p.Attributes.params()
	return vault.ImportParams{
		Value:         p.Value,
		Password:      p.Password,
		Policy:        p.Policy.params(),
		Attributes:    attributes,
		Tags:          p.Tags,
		PreserveOrder: p.PreserveOrder,
	}, err
}

type updateParams struct {
	Policy     *certificatePolicy `json:"policy"`
	Attributes *attributes        `json:"attributes"`
	Tags       map[string]string  `json:"tags"` // {} removes all
}

func (p *updateParams) params() (vault.UpdateParams, error) {
	attributes, err := p.Attributes.params()
	return vault.UpdateParams{Policy: p.Policy.params(), Attributes: attributes, Tags: p.Tags}, err
}

// backup is a BackupCertificateResult, and the parameters of restore.
type backup struct {
	Value string `json:"value"` // base64url
}

func showBackup(blob []byte) backup { return backup{urlBase64(blob)} }

func (b backup) blob() ([]byte, error) {
	blob, err := parseBase64("value", b.Value)
	if err != nil {
		return nil, &vault.Error{Reason: vault.MalformedBackup, Detail: "Backup blob is corrupt."}
	}
	return blob, nil
}

// view is how a client is shown the vault: under which URL, in which version of
// the API.
type view struct {
	links links
	api   apiVersion
}

// bundle shows a certificate by one of its versions.
func (v view) bundle(c vault.Certificate) bundle {
	out := bundle{
		deletion:   v.deletion(c),
		ID:         v.links.version(c.Name, c.Version),
		Attributes: v.attributes(c.Attributes),
		Tags:       c.Tags,
	}
	if c.Leaf != nil {
		out.KeyID = v.links.keyVersion(c.Name, c.Version)
		out.SecretID = v.links.secretVersion(c.Name, c.Version)
		out.Thumbprint = urlBase64(c.Thumbprint)
		out.Certificate = stdBase64(c.Leaf)
	}
	if c.Policy != nil {
		out.Policy = v.policy(c.Name, c.Policy)
	}
	if c.Pending {
		out.Pending = &link{v.links.pending(c.Name)}
	}
	if v.api >= sincePreserveOrder {
		out.PreserveOrder = c.PreserveOrder
	}
	return out
}

// item shows a certificate in a list, where its id has no version.
func (v view) item(c vault.Certificate) item {
	out := v.versionItem(c)
	out.ID = v.links.certificate(c.Name)
	if out.deletion = v.deletion(c); c.Deletion != nil {
		out.Attributes, out.Subject = v.attributes(c.Attributes), nil
	}
	return out
}

// versionItem shows a version in a list.
func (v view) versionItem(c vault.Certificate) item {
	// The live service leaves the recovery fields out of lists of what is not deleted.
	shown := v.attributes(c.Attributes)
	shown.RecoveryLevel, shown.RecoverableDays = "", nil
	return item{
		ID:         v.links.version(c.Name, c.Version),
		Thumbprint: urlBase64(c.Thumbprint),
		Attributes: shown,
		Tags:       c.Tags,
		Subject:    new(""),
	}
}

func (v view) deletion(c vault.Certificate) deletion {
	if c.Deletion == nil {
		return deletion{}
	}
	return v.deletionOf("deletedcertificates", c)
}

// deletionOf is the deletion of a certificate, or of what it brought with it.
func (v view) deletionOf(collection string, c vault.Certificate) deletion {
	return deletion{
		RecoveryID:         v.links.deleted(collection, c.Name),
		DeletedDate:        unixTime(&c.Deletion.At),
		ScheduledPurgeDate: unixTime(&c.Deletion.PurgeAt),
	}
}

func (v view) attributes(a vault.Attributes) attributes {
	out := attributes{
		Enabled:       &a.Enabled,
		NotBefore:     unixTime(a.NotBefore),
		Expires:       unixTime(a.Expires),
		Created:       unixTime(&a.Created),
		Updated:       unixTime(&a.Updated),
		RecoveryLevel: a.RecoveryLevel,
	}
	if v.api >= sinceRecoverableDays {
		out.RecoverableDays = &a.RecoverableDays
	}
	return out
}
