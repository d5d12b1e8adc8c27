package kvhttp

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

// The operations board is ours: Key Vault shows nobody what is stuck.

func listOperations(ctx context.Context, c *call) (reply, error) {
	p, err := c.page(vault.IsBoardKey)
	if err != nil {
		return reply{}, err
	}
	filter, err := c.boardFilter()
	if err != nil {
		return reply{}, err
	}
	entries, after, err := c.vault.Board(ctx, p, filter)
	if err != nil {
		return reply{}, err
	}
	return showPage(c, "operations", p, entries, after, c.boardEntry), nil
}

// boardFilter reads which entries are asked for.
func (c *call) boardFilter() (vault.BoardFilter, error) {
	f := vault.BoardFilter{Issuer: c.query.Get("issuer"), Status: vault.Status(c.query.Get("status"))}
	switch f.Status {
	case "", vault.StatusInProgress, vault.StatusFailed:
	default:
		return f, badRequest("The status query parameter must be %s or %s.", vault.StatusInProgress, vault.StatusFailed)
	}
	if s := c.query.Get("stuckFor"); s != "" {
		d, ok := parseDuration(s)
		if !ok {
			return f, badRequest("The stuckFor query parameter must be a duration in ISO 8601, such as PT30M or P2D, of at most 100 years.")
		}
		f.StuckFor = d
	}
	return f, nil
}

var isoDuration = regexp.MustCompile(`^P(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?$`)

// maxDuration bounds durations in queries.
const maxDuration = 100 * 365 * 24 * time.Hour

// parseDuration reads a duration in ISO 8601 of weeks, days, hours, minutes and
// seconds; months and years have no length of their own.
func parseDuration(s string) (time.Duration, bool) {
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || strings.HasSuffix(s, "P") || strings.HasSuffix(s, "T") {
		return 0, false
	}
	var seconds int64
	for i, unit := range []int64{7 * 24 * 3600, 24 * 3600, 3600, 60, 1} {
		if m[i+1] != "" {
			n, err := strconv.ParseInt(m[i+1], 10, 64)
			if err != nil {
				return 0, false
			}
			seconds += n * unit
		}
	}
	return time.Duration(seconds) * time.Second, seconds <= int64(maxDuration/time.Second)
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
	until, err := timeParam("until", in.Until)
	if err != nil {
		return reply{}, err
	}
	if until == nil {
		until = new(time.Time)
	}
	return c.showIssuerState(c.vault.PauseIssuer(ctx, c.name, *until, in.reason()))
}

func resumeIssuer(ctx context.Context, c *call) (reply, error) {
	return c.showIssuerState(c.vault.ResumeIssuer(ctx, c.name))
}

func (c *call) showIssuerState(o vault.IssuerState, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	return ok(c.issuerState(o)), nil
}
