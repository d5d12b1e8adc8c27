package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

var commands = []command{
	{"list", "", "what is in progress or has failed", list},
	{"show", "CERTIFICATE", "all about one entry", onEntry(http.MethodGet, "")},
	{"advance", "CERTIFICATE", "take the next step at the CA now", onEntry(http.MethodPost, "/advance")},
	{"retry", "CERTIFICATE", "begin anew what failed, was cancelled or given up", onEntry(http.MethodPost, "/retry")},
	{"give-up", "CERTIFICATE", "end what is in progress as failed", onEntry(http.MethodPost, "/give-up")},
	{"forget", "CERTIFICATE", "remove a release that was given up", onEntry(http.MethodDelete, "")},
	{"issuers", "", "the issuers, and which of them are paused", issuers},
	{"pause", "ISSUER", "leave all work of an issuer alone", pause},
	{"resume", "ISSUER", "go on with it", resume},
	{"replace-account", "ISSUER", "have its provider register another account at the CA", replaceAccount},
	{"events", "", "events that a destination does not have yet, or would not take", events},
	{"retry-event", "EVENT DESTINATION", "deliver an event now, and try for another day", retryEvent},
	{"broken", "", "rows that cannot be read, and why", broken},
	{"migrate", "", "how far what an earlier release stored is in this one's form", migrate},
	{"revoke", "CERTIFICATE VERSION", "have the CA revoke a version", revoke},
	{"revocation", "CERTIFICATE VERSION", "what has become of a revocation", revocation},
}

func list(set *flag.FlagSet) func(context.Context, *run, []string) error {
	issuer := set.String("issuer", "", "only what this `issuer` works on")
	status := set.String("status", "", "only what is `inProgress` or failed")
	stuckFor := set.Duration("stuck-for", 0, "only what began at least so long ago, such as 2h")
	return func(ctx context.Context, r *run, _ []string) error {
		query := url.Values{}
		if *issuer != "" {
			query.Set("issuer", *issuer)
		}
		if *status != "" {
			query.Set("status", *status)
		}
		if *stuckFor < 0 {
			return UsageError("-stuck-for must not be negative")
		}
		if *stuckFor > 0 {
			query.Set("stuckFor", fmt.Sprintf("PT%dS", int64(*stuckFor/time.Second)))
		}
		filtered := len(query) > 0
		all, incomplete, err := r.client.list(ctx, "operations", query)
		if err != nil {
			return err
		}
		return show(r, all, func(all []entry) { r.board(all, filtered, incomplete) })
	}
}

// onEntry makes a command about one entry of the board.
func onEntry(method, action string) func(*flag.FlagSet) func(context.Context, *run, []string) error {
	return func(set *flag.FlagSet) func(context.Context, *run, []string) error {
		requestID := set.String("request-id", "", "the request that is meant, by its `id`; another is not found")
		release := set.Bool("release", false, "the release of what a request left at its CA is meant; needs -request-id")
		return func(ctx context.Context, r *run, operands []string) error {
			query := url.Values{}
			if *requestID != "" {
				query.Set("request_id", *requestID)
			}
			if *release || method == http.MethodDelete {
				query.Set("work", "release")
			}
			body, err := r.client.call(ctx, method, "operations/"+url.PathEscape(operands[0])+action, query, nil)
			if err != nil {
				return err
			}
			return showOne(r, body, r.entry)
		}
	}
}

func issuers(*flag.FlagSet) func(context.Context, *run, []string) error {
	return func(ctx context.Context, r *run, _ []string) error {
		all, _, err := r.client.list(ctx, "operations/issuers", nil)
		if err != nil {
			return err
		}
		return show(r, all, r.issuers)
	}
}

func pause(set *flag.FlagSet) func(context.Context, *run, []string) error {
	length := set.Duration("for", 0, "how long, such as 2h; until it is resumed without")
	reason := set.String("reason", "", "why, for those who wonder")
	return func(ctx context.Context, r *run, operands []string) error {
		if *length < 0 {
			return UsageError("-for must not be negative")
		}
		in := map[string]any{"reason": *reason}
		if *length > 0 {
			in["until"] = r.Now().Add(*length).Unix()
		}
		return onIssuer(ctx, r, operands[0], "/pause", in)
	}
}

func resume(*flag.FlagSet) func(context.Context, *run, []string) error {
	return func(ctx context.Context, r *run, operands []string) error {
		return onIssuer(ctx, r, operands[0], "/resume", nil)
	}
}

func replaceAccount(*flag.FlagSet) func(context.Context, *run, []string) error {
	return func(ctx context.Context, r *run, operands []string) error {
		return onIssuer(ctx, r, operands[0], "/replace-account", nil)
	}
}

func onIssuer(ctx context.Context, r *run, issuer, action string, in any) error {
	body, err := r.client.call(ctx, http.MethodPost, "operations/issuers/"+url.PathEscape(issuer)+action, nil, in)
	if err != nil {
		return err
	}
	return showOne(r, body, func(i issuerState) { r.issuers([]issuerState{i}) })
}

func events(*flag.FlagSet) func(context.Context, *run, []string) error {
	return func(ctx context.Context, r *run, _ []string) error {
		all, _, err := r.client.list(ctx, "events", nil)
		if err != nil {
			return err
		}
		return show(r, all, r.events)
	}
}

func broken(*flag.FlagSet) func(context.Context, *run, []string) error {
	return func(ctx context.Context, r *run, _ []string) error {
		all, _, err := r.client.list(ctx, "operations/storage/unreadable", nil)
		if err != nil {
			return err
		}
		return show(r, all, r.broken)
	}
}

func migrate(set *flag.FlagSet) func(context.Context, *run, []string) error {
	finish := set.Bool("finish", false, "end the migration now, without the passes that wait for instances of an earlier release")
	adopt := set.String("adopt", "", "have the row of this `key` count although it is not authentic; you vouch for what it says")
	return func(ctx context.Context, r *run, _ []string) error {
		if *finish && *adopt != "" {
			return UsageError("-finish and -adopt exclude each other")
		}
		method, path := http.MethodGet, "operations/storage/migration"
		switch {
		case *finish:
			method, path = http.MethodPost, path+"/finish"
		case *adopt != "":
			body, err := r.client.call(ctx, http.MethodPost, "operations/storage/adopt", nil, map[string]any{"key": *adopt})
			if err != nil {
				return err
			}
			return showOne(r, body, r.adopted)
		}
		body, err := r.client.call(ctx, method, path, nil, nil)
		if err != nil {
			return err
		}
		return showOne(r, body, r.migration)
	}
}

func retryEvent(*flag.FlagSet) func(context.Context, *run, []string) error {
	return func(ctx context.Context, r *run, operands []string) error {
		path := "events/" + url.PathEscape(operands[0]) + "/" + url.PathEscape(operands[1]) + "/retry"
		body, err := r.client.call(ctx, http.MethodPost, path, nil, nil)
		if err != nil {
			return err
		}
		return showOne(r, body, func(e eventState) { r.events([]eventState{e}) })
	}
}

func revoke(set *flag.FlagSet) func(context.Context, *run, []string) error {
	reason := set.String("reason", "unspecified", "`one` of RFC 5280's, such as keyCompromise or superseded")
	return func(ctx context.Context, r *run, operands []string) error {
		return onRevocation(ctx, r, http.MethodPost, operands, map[string]any{"reason": *reason})
	}
}

func revocation(*flag.FlagSet) func(context.Context, *run, []string) error {
	return func(ctx context.Context, r *run, operands []string) error {
		return onRevocation(ctx, r, http.MethodGet, operands, nil)
	}
}

func onRevocation(ctx context.Context, r *run, method string, operands []string, in any) error {
	path := "certificates/" + url.PathEscape(operands[0]) + "/" + url.PathEscape(operands[1]) + "/revoke"
	body, err := r.client.call(ctx, method, path, nil, in)
	if err != nil {
		return err
	}
	return showOne(r, body, r.revocation)
}

// show prints objects of a collection: as they came, or as a table.
func show[T any](r *run, all []json.RawMessage, table func([]T)) error {
	if r.json {
		data, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(r.Stdout, "%s\n", data)
		return err
	}
	decoded := make([]T, len(all))
	for i, one := range all {
		if err := json.Unmarshal(one, &decoded[i]); err != nil {
			return fmt.Errorf("reading the vault's answer: %w", err)
		}
	}
	table(decoded)
	return nil
}

// showOne is show for one object.
func showOne[T any](r *run, body []byte, print func(T)) error {
	if r.json {
		var indented bytes.Buffer
		if err := json.Indent(&indented, body, "", "  "); err != nil {
			return fmt.Errorf("reading the vault's answer: %w", err)
		}
		_, err := fmt.Fprintf(r.Stdout, "%s\n", indented.Bytes())
		return err
	}
	var one T
	if err := json.Unmarshal(body, &one); err != nil {
		return fmt.Errorf("reading the vault's answer: %w", err)
	}
	print(one)
	return nil
}
