package kvhttp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

// call is an authorized request on its way through its route.
type call struct {
	view
	vault           *vault.Vault
	query           url.Values
	name            vault.Name     // of the path's certificate or issuer
	version         string         // of the path, unchecked; empty: the latest
	delivery        vault.Delivery // of the path, unchecked
	body            io.Reader      // bounded
	clientRequestID string
	wantsCSR        bool          // Accept is mediaPKCS10
	retryAfter      time.Duration // as in Config
}

func (c *call) decode(in any) error { return decode(c.body, in) }

// decodeOptional is decode for a body that may be empty.
func (c *call) decodeOptional(in any) error {
	body := bufio.NewReader(c.body)
	if _, err := body.Peek(1); err == io.EOF {
		return nil
	}
	return decode(body, in)
}

// parseVersion reads the path's version, empty for the latest. One that cannot
// be is not found.
func (c *call) parseVersion(notFound vault.Reason) (string, error) {
	version, valid := vault.ParseVersion(c.version)
	if !valid && c.version != "" {
		return "", &vault.Error{Reason: notFound, Name: c.name.String() + "/" + c.version}
	}
	return version, nil
}

// reply is an answer before it is sent.
type reply struct {
	status int
	header http.Header
	body   []byte // JSON; empty: none
}

func newReply(status int, body any) reply {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		panic(err) // the wire types are texts, numbers, and lists and maps of them
	}
	return reply{status: status, header: make(http.Header), body: bytes.TrimSuffix(b.Bytes(), []byte("\n"))}
}

func ok(body any) reply { return newReply(http.StatusOK, body) }
