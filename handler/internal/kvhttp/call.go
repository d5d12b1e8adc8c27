package kvhttp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
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
	request         *vault.Request  // its content is known once the body is decoded
	client          context.Context // ends when the client hangs up
	wantsCSR        bool            // Accept is mediaPKCS10
	retryAfter      time.Duration   // as in Config
}

// untilHangUp is ctx as long as the client waits for the answer. It is for calls
// of the vault that do something costly first; what such a call then changes it
// finishes all the same.
func (c *call) untilHangUp(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.client, cancel)
	return ctx, func() { stop(); cancel() }
}

// decode reads the body, of which the vault remembers a hash.
func (c *call) decode(in any) error {
	sum := sha256.New()
	err := decode(io.TeeReader(c.body, sum), in)
	c.request.Content = sum.Sum(nil)
	return err
}

// decodeOptional is decode for a body that may be empty.
func (c *call) decodeOptional(in any) error {
	body := bufio.NewReader(c.body)
	if _, err := body.Peek(1); err == io.EOF {
		return nil
	}
	c.body = body
	return c.decode(in)
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
