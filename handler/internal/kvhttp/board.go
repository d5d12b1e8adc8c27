package kvhttp

import (
	"context"

	"github.com/certwright/certwright/handler/internal/vault"
)

// The operations board is ours: Key Vault shows nobody what is stuck.

func listOperations(ctx context.Context, c *call) (reply, error) {
	p, err := c.page(vault.IsBoardKey)
	if err != nil {
		return reply{}, err
	}
	filter, err := boardFilter(c.query)
	if err != nil {
		return reply{}, err
	}
	migrating, err := c.vault.Migrating(ctx)
	if err != nil {
		return reply{}, err
	}
	entries, after, err := c.vault.Board(ctx, p, filter)
	if err != nil {
		return reply{}, err
	}
	all := pageOf(c, "operations", p, entries, after, c.boardEntry)
	page := board{Value: all.Value, NextLink: all.NextLink}
	if migrating {
		page.Incomplete = "What an earlier release stored is still being migrated, and may be missing here."
	}
	return ok(page), nil
}

// boardAction is what a caller does about one entry of the board, which the name and
// a request id find.
type boardAction func(context.Context, vault.Name, string) (vault.BoardEntry, error)

// act does what the query parameter work names: an operation's action, unless it
// says that a release is meant.
func (c *call) act(ctx context.Context, operation, release boardAction) (reply, error) {
	do := operation
	switch vault.Work(c.query.Get("work")) {
	case "", vault.WorkOperation:
	case vault.WorkRelease:
		do = release
		if c.query.Get("request_id") == "" {
			return reply{}, badRequest("The request_id query parameter is required to find a release.")
		}
	default:
		return reply{}, badRequest("The work query parameter must be %s or %s.", vault.WorkOperation, vault.WorkRelease)
	}
	if do == nil {
		return reply{}, badRequest("Only a release can be forgotten, with the work query parameter %s. Delete the pending certificate instead.", vault.WorkRelease)
	}
	e, err := do(ctx, c.name, c.query.Get("request_id"))
	if err != nil {
		return reply{}, err
	}
	return ok(c.boardEntry(e)), nil
}

func getBoardEntry(ctx context.Context, c *call) (reply, error) {
	return c.act(ctx, c.vault.OperationEntry, c.vault.ReleaseEntry)
}

func advanceOperation(ctx context.Context, c *call) (reply, error) {
	return c.act(ctx, c.vault.AdvanceOperation, c.vault.AdvanceRelease)
}

func retryOperation(ctx context.Context, c *call) (reply, error) {
	retry := func(ctx context.Context, n vault.Name, requestID string) (vault.BoardEntry, error) {
		return c.vault.RetryOperation(ctx, n, requestID, c.clientRequestID)
	}
	return c.act(ctx, retry, c.vault.RetryRelease)
}

func giveUpOperation(ctx context.Context, c *call) (reply, error) {
	return c.act(ctx, c.vault.GiveUpOperation, c.vault.GiveUpRelease)
}

func forgetOperation(ctx context.Context, c *call) (reply, error) {
	return c.act(ctx, nil, c.vault.ForgetRelease)
}

func listIssuerStates(ctx context.Context, c *call) (reply, error) {
	p, err := c.issuerPage()
	if err != nil {
		return reply{}, err
	}
	issuers, after, err := c.vault.Issuers(ctx, p)
	if err != nil {
		return reply{}, err
	}
	return showPage(c, "operations/issuers", p, issuers, after, c.issuerState), nil
}

func pauseIssuer(ctx context.Context, c *call) (reply, error) {
	var in pauseParams
	if err := c.decodeOptional(&in); err != nil {
		return reply{}, err
	}
	until, reason, err := in.params()
	if err != nil {
		return reply{}, err
	}
	return c.showIssuerState(c.vault.PauseIssuer(ctx, c.name, until, reason))
}

func resumeIssuer(ctx context.Context, c *call) (reply, error) {
	return c.showIssuerState(c.vault.ResumeIssuer(ctx, c.name))
}

func replaceAccount(ctx context.Context, c *call) (reply, error) {
	return c.showIssuerState(c.vault.ReplaceAccount(ctx, c.name))
}

func (c *call) showIssuerState(o vault.IssuerState, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	return ok(c.issuerState(o)), nil
}
