package kvhttp

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

func createCertificate(ctx context.Context, c *call) (reply, error) {
	var in createParams
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	params, err := in.params(c.clientRequestID)
	if err != nil {
		return reply{}, err
	}
	op, err := c.vault.Create(ctx, c.name, params)
	if err != nil {
		return reply{}, err
	}
	rep := c.poll(op)
	rep.status = http.StatusAccepted
	rep.header.Set("Location", c.links.pending(op.Name)+"?api-version="+c.api.String()+"&request_id="+op.RequestID)
	return rep, nil
}

func getOperation(ctx context.Context, c *call) (reply, error) {
	op, err := c.vault.Operation(ctx, c.name, c.query.Get("request_id"))
	if err != nil {
		return reply{}, err
	}
	if c.wantsCSR {
		rep := reply{status: http.StatusOK, header: http.Header{"Content-Type": {mediaPKCS10 + "; charset=utf-8"}}, body: []byte(stdBase64(op.CSR))}
		return rep, nil
	}
	return c.poll(op), nil
}

// mediaPKCS10 asks for the CSR of an operation alone: its bare base64.
const mediaPKCS10 = "application/pkcs10"

func updateOperation(ctx context.Context, c *call) (reply, error) {
	var in operationUpdate
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	cancel, err := in.cancel()
	if err != nil {
		return reply{}, err
	}
	op, err := c.vault.Cancel(ctx, c.name, c.query.Get("request_id"), cancel)
	if err != nil {
		return reply{}, err
	}
	return ok(c.operation(op)), nil
}

func deleteOperation(ctx context.Context, c *call) (reply, error) {
	op, err := c.vault.DeleteOperation(ctx, c.name, c.query.Get("request_id"))
	if err != nil {
		return reply{}, reword(err, vault.OperationNotFound, pendingNotFound, c.name)
	}
	return ok(c.operation(op)), nil
}

// pendingNotFound has a capital where GET and PATCH have none.
const pendingNotFound = "Pending Certificate not found: %s"

func mergeCertificate(ctx context.Context, c *call) (reply, error) {
	var in mergeParams
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	params, err := in.params()
	if err != nil {
		return reply{}, err
	}
	ctx, cancel := c.untilHangUp(ctx)
	defer cancel()
	cert, err := c.vault.Merge(ctx, c.name, params)
	if err != nil {
		return reply{}, reword(err, vault.OperationNotFound, pendingNotFound, c.name)
	}
	rep := newReply(http.StatusCreated, c.bundle(cert))
	rep.header.Set("Location", c.links.certificate(cert.Name)+"?api-version="+c.api.String())
	return rep, nil
}

// poll shows an operation to a client that will look again, and says when.
func (c *call) poll(op vault.Operation) reply {
	rep := ok(c.operation(op))
	if op.Status == vault.StatusInProgress {
		// The live service always says 10; what needs no CA is done sooner, and some
		// SDKs do wait that long.
		after := 10 * time.Second
		if c.vault.AnswersAtOnce(op) {
			after = c.retryAfter
		}
		rep.header.Set("Retry-After", strconv.Itoa(int(after/time.Second)))
	}
	return rep
}
