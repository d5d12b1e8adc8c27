package kvhttp

import (
	"context"
	"net/http"
	"strings"

	"github.com/certwright/certwright/handler/internal/policy"
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
	return c.poll(op), nil
}

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
		return reply{}, err
	}
	return ok(c.operation(op)), nil
}

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
		return reply{}, err
	}
	rep := newReply(http.StatusCreated, c.bundle(cert))
	rep.header.Set("Location", c.links.certificate(cert.Name)+"?api-version="+c.api.String())
	return rep, nil
}

// poll shows an operation to a client that will look again, and says when.
func (c *call) poll(op vault.Operation) reply {
	rep := ok(c.operation(op))
	if op.Status == vault.StatusInProgress {
		rep.header.Set("Retry-After", retryAfter(op))
	}
	return rep
}

// retryAfter is when to ask again, in seconds. The live service always says 10;
// Self is done sooner, and some SDKs do wait that long.
func retryAfter(op vault.Operation) string {
	if strings.EqualFold(op.Policy.Issuer.Name, policy.IssuerSelf) {
		return "2"
	}
	return "10"
}
