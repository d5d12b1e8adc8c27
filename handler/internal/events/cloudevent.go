package events

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

// cloudEvent is an event in the JSON format of CloudEvents 1.0.
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"` // the vault's URL
	Type            string    `json:"type"`
	Subject         string    `json:"subject"` // the certificate's name
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            eventData `json:"data"`
}

// eventData has the properties of Event Grid's Key Vault events, and ours of a
// failed operation.
//
// Event Grid page: Azure Key Vault as Event Grid source.
type eventData struct {
	ID         string `json:"Id"` // the URL of the version, or of the pending certificate
	VaultName  string
	ObjectType string
	ObjectName string
	Version    string // empty before the first
	NBF        *int64 // Unix seconds; null before the first version
	EXP        *int64

	Issuer       string `json:",omitempty"`
	RequestID    string `json:"RequestId,omitempty"`
	Renewal      *bool  `json:",omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// source is the vault as receivers know it.
type source struct {
	url  string // without a slash at the end
	host string // without port
}

func newSource(vaultURL string) (source, error) {
	u, err := url.Parse(vaultURL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Contains(u.Host, "*") {
		return source{}, fmt.Errorf("vault URL %q is not of the form https://HOST", vaultURL)
	}
	host := strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	return source{url: "https://" + host, host: strings.ToLower(u.Hostname())}, nil
}

// name is the vault's name, the first label of its host, as in Key Vault.
func (s source) name() string {
	name, _, _ := strings.Cut(s.host, ".")
	return name
}

// encode is e as a CloudEvent of this vault.
func (s source) encode(e vault.Event) ([]byte, error) {
	data := eventData{
		ID:         fmt.Sprintf("%s/certificates/%s/%s", s.url, e.Certificate, e.Version),
		VaultName:  s.name(),
		ObjectType: "Certificate",
		ObjectName: e.Certificate,
		Version:    e.Version,
	}
	if e.Version != "" {
		data.NBF, data.EXP = new(e.NotBefore.Unix()), new(e.Expires.Unix())
	}
	if e.Type == vault.EventOperationFailed {
		data.ID = fmt.Sprintf("%s/certificates/%s/pending", s.url, e.Certificate)
		data.Issuer, data.RequestID, data.Renewal = e.Issuer, e.RequestID, &e.Renewal
		data.ErrorCode, data.ErrorMessage = e.Code, e.Message
	}
	return json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: e.ID, Source: s.url, Type: string(e.Type), Subject: e.Certificate,
		Time: e.Time, DataContentType: "application/json", Data: data,
	})
}
