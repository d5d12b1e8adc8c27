package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
)

// summary is what the rows of heads, versions and markers say in their column of
// that name: what an entry of a list shows, so that lists need not read documents.
// In a head and a marker it is of the latest version, or of the shell. A summary
// that is too large for the column, for its tags, is left out: then the document
// must be read.
type summary struct {
	Name        string            `json:"name,omitempty"` // of the certificate, as first written; a version's row has its head's
	Version     string            `json:"version"`        // id
	Enabled     bool              `json:"enabled"`
	NotBefore   time.Time         `json:"notBefore"`
	Expires     time.Time         `json:"expires"`
	Created     time.Time         `json:"created"`
	Updated     time.Time         `json:"updated"`
	Tags        map[string]string `json:"tags,omitempty"`
	Thumbprint  []byte            `json:"thumbprint,omitempty"`  // none: never completed
	ContentType string            `json:"contentType,omitempty"` // none: never completed
	Pending     bool              `json:"pending,omitempty"`     // there is an operation
	Deletion    *Deletion         `json:"deletion,omitempty"`
}

// summarize gives a row its summary.
func summarize(r store.Row, s summary) store.Row {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(fmt.Sprintf("summary of row %q cannot be encoded: %v", r.Key, err)) // our own types always can
	}
	r.Summary = nil
	if text := bytes.TrimSpace(b.Bytes()); len(text) <= store.MaxSummary {
		r.Summary = text
	}
	return r
}

// row is the head's.
func (h *head) row(n Name) store.Row {
	return summarize(store.NewRow(headKey(n), h.label(), h), h.summary())
}

func (h *head) summary() summary {
	s := summary{Version: h.Provisional, Created: h.Created, Updated: h.Created}
	if l := h.Latest; l != nil {
		s = l.summary()
	} else {
		s.NotBefore, s.Expires = h.Policy.X509.Validity(h.Created)
		if op := h.Operation; op != nil {
			s.Tags, s.Updated = op.Tags, latestOf(s.Updated, op.Updated)
		}
	}
	s.Name, s.Pending, s.Deletion = h.Name, h.Operation != nil, h.Deletion
	return s
}

// row is the version's of a certificate.
func (ver *version) row(n Name) store.Row {
	return summarize(store.NewRow(versionKey(n, ver.ID), "", ver), ver.summary())
}

func (ver *version) summary() summary {
	return summary{
		Version: ver.ID, Enabled: ver.Enabled, NotBefore: ver.NotBefore, Expires: ver.Expires,
		Created: ver.Created, Updated: ver.Updated, Tags: ver.Tags, Thumbprint: ver.Thumbprint, ContentType: ver.ContentType,
	}
}

// row is the marker's of a soft-deleted certificate, under the label that its head
// had before.
func (m *marker) row(n Name, label string) store.Row {
	return summarize(store.NewRow(markerKey(n), label, m), m.Head.summary())
}
