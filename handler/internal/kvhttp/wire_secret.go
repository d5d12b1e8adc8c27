package kvhttp

import (
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// secret is a SecretBundle.
type secret struct {
	Value       string            `json:"value"` // base64 of PKCS #12, or PEM
	ContentType string            `json:"contentType"`
	ID          string            `json:"id"`
	Managed     bool              `json:"managed"` // always, as in all of a certificate's secrets and keys
	Attributes  attributes        `json:"attributes"`
	KeyID       string            `json:"kid"`
	Previous    string            `json:"previousVersion,omitempty"`
	Tags        map[string]string `json:"tags,omitzero"`
}

// secretItem is a SecretItem.
type secretItem struct {
	ContentType string            `json:"contentType"`
	ID          string            `json:"id"`
	Managed     bool              `json:"managed"`
	Attributes  attributes        `json:"attributes"`
	Tags        map[string]string `json:"tags,omitzero"`
}

func (v view) secret(s vault.Secret) secret {
	value := string(s.Value)
	if s.ContentType == policy.ContentPKCS12 {
		value = stdBase64(s.Value)
	}
	out := secret{
		Value:       value,
		ContentType: s.ContentType,
		ID:          v.links.secretVersion(s.Name, s.Version),
		Managed:     true,
		Attributes:  v.attributes(s.Attributes),
		KeyID:       v.links.keyVersion(s.Name, s.Version),
		Tags:        s.Tags,
	}
	if v.api >= sincePreviousVersion {
		out.Previous = s.Previous
	}
	return out
}

// deletedSecret is a DeletedSecretBundle, which has no value.
type deletedSecret struct {
	deletion
	secretItem
	KeyID string `json:"kid"`
}

func (v view) deletedSecret(c vault.Certificate) deletedSecret {
	return deletedSecret{v.deletionOf("deletedsecrets", c), v.secretVersionItem(c), v.links.keyVersion(c.Name, c.Version)}
}

// secretItem shows the secret of a certificate in a list, where its id has no
// version.
func (v view) secretItem(c vault.Certificate) secretItem {
	out := v.secretVersionItem(c)
	out.ID = v.links.secret(c.Name)
	return out
}

// secretVersionItem shows the secret of a version in a list.
func (v view) secretVersionItem(c vault.Certificate) secretItem {
	return secretItem{
		ContentType: c.ContentType,
		ID:          v.links.secretVersion(c.Name, c.Version),
		Managed:     true,
		Attributes:  v.attributes(c.Attributes),
		Tags:        c.Tags,
	}
}
