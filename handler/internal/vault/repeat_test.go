package vault_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// Requests that clients send again because the answer did not reach them.

var (
	ecKey     = policy.KeyProperties{Type: policy.KeyEC, Curve: "P-256"}
	testStart = newClock().Now().Add(-time.Hour)
)

// sentAs is the context of a request of its own for each id.
func sentAs(ctx context.Context, id string) context.Context {
	return vault.WithRequest(ctx, &vault.Request{Tenant: "t", ObjectID: "o", AppID: "a", Method: "POST", Path: "/certificates/web", ID: id})
}

// deaf is a store whose commits take effect and say that they may not have, once
// it is told to.
type deaf struct {
	store.Store
	lose bool
}

func (d *deaf) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	etag, err := d.Store.Commit(ctx, tx)
	if d.lose && err == nil {
		return "", store.ErrUnavailable
	}
	return etag, err
}

// repeatCase is a request, and what makes it possible.
type repeatCase struct {
	name   string
	before func(h *harness)
	send   func(ctx context.Context, h *harness) (any, error)
	change func(h *harness) // what makes the request another one when it comes again
	undone any              // answer, or reason of the refusal, when it is carried out again after change; nil: not looked at
}

func repeatCases(t *testing.T) []repeatCase {
	n, first, second := name(t, "web"), newExisting(t, ecKey, testStart), newExisting(t, ecKey, testStart)
	certificate := func(c vault.Certificate, err error) (any, error) { return c, err }
	operation := func(op vault.Operation, err error) (any, error) { return op, err }
	exists := func(h *harness) { h.mustImport("web", vault.ImportParams{Value: first.pfx(t)}) }
	deleted := func(h *harness) {
		exists(h)
		if _, err := h.Delete(h.ctx(), n); err != nil {
			t.Fatal(err)
		}
	}
	tag := func(h *harness) {
		if _, err := h.UpdateVersion(sentAs(h.ctx(), "tag"), n, "", vault.UpdateParams{Tags: map[string]string{"a": "b"}}); err != nil {
			t.Fatal(err)
		}
	}
	ca := issuerName(t, "ca")
	answers := make(map[string]string) // certificates by CSR
	certificateOf := func(t testing.TB, csr []byte) string {
		if answers[string(csr)] == "" {
			answers[string(csr)] = signed(t, csr, 1)
		}
		return answers[string(csr)]
	}
	test := "Test"
	return []repeatCase{
		{name: "create", before: func(*harness) {}, change: func(h *harness) {
			if _, err := h.DeleteOperation(sentAs(h.ctx(), "drop"), n, ""); err != nil {
				t.Fatal(err)
			}
		}, send: func(ctx context.Context, h *harness) (any, error) {
			return operation(h.Create(ctx, n, vault.CreateParams{Policy: policyFor("Unknown")}))
		}},
		{name: "import", before: func(*harness) {}, send: func(ctx context.Context, h *harness) (any, error) {
			return certificate(h.Import(ctx, n, vault.ImportParams{Value: first.pfx(t)}))
		}, change: func(h *harness) {
			if _, err := h.Import(sentAs(h.ctx(), "B"), n, vault.ImportParams{Value: second.pfx(t)}); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "merge", before: func(h *harness) { h.mustCreate("web", "Unknown") }, send: func(ctx context.Context, h *harness) (any, error) {
			op, err := h.Operation(ctx, n, "")
			if err != nil {
				return nil, err
			}
			return certificate(h.Merge(ctx, n, vault.MergeParams{X5C: []string{certificateOf(t, op.CSR)}}))
		}, change: tag, undone: vault.BadParameter},
		{name: "delete", before: exists, send: func(ctx context.Context, h *harness) (any, error) {
			return certificate(h.Delete(ctx, n))
		}, change: func(h *harness) {
			if _, err := h.Recover(sentAs(h.ctx(), "recover"), n); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "recover", before: deleted, send: func(ctx context.Context, h *harness) (any, error) {
			return certificate(h.Recover(ctx, n))
		}, change: tag, undone: vault.DeletedNotFound},
		{name: "purge", before: deleted, send: func(ctx context.Context, h *harness) (any, error) {
			return nil, h.Purge(ctx, n)
		}, change: exists, undone: vault.DeletedNotFound},
		{name: "update", before: exists, send: func(ctx context.Context, h *harness) (any, error) {
			return certificate(h.UpdateVersion(ctx, n, "", vault.UpdateParams{Tags: map[string]string{"c": "d"}}))
		}, change: tag},
		{name: "update of the policy", before: exists, send: func(ctx context.Context, h *harness) (any, error) {
			return certificate(h.UpdatePolicy(ctx, n, policy.Params{ContentType: new(policy.ContentPEM)}))
		}, change: tag},
		{name: "cancel", before: func(h *harness) { h.mustCreate("web", "Unknown") }, send: func(ctx context.Context, h *harness) (any, error) {
			return operation(h.Cancel(ctx, n, "", true))
		}, change: tag},
		{name: "delete of an operation", before: func(h *harness) { h.mustCreate("web", "Unknown") }, send: func(ctx context.Context, h *harness) (any, error) {
			return operation(h.DeleteOperation(ctx, n, ""))
		}},
		{name: "delete of an issuer", before: func(h *harness) { h.mustScript("ca", "hold") }, send: func(ctx context.Context, h *harness) (any, error) {
			return h.DeleteIssuer(ctx, ca)
		}, change: func(h *harness) {
			if _, err := h.SetIssuer(sentAs(h.ctx(), "set"), ca, vault.IssuerSet{Provider: &test}); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "delete of the contacts", before: func(h *harness) {
			if _, err := h.SetContacts(h.ctx(), []vault.Contact{{Email: "ada@example.com"}}); err != nil {
				t.Fatal(err)
			}
		}, send: func(ctx context.Context, h *harness) (any, error) { return h.DeleteContacts(ctx) }},
	}
}

func (h *harness) ctx() context.Context { return context.Background() }

// The same request sent again gets the answer of the first.
func TestRequestSentAgain(t *testing.T) {
	for _, c := range repeatCases(t) {
		h := newHarness(t, nil)
		c.before(h)
		want, err := c.send(sentAs(h.ctx(), "A"), h)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for range 2 {
			h.clock.Advance(time.Second)
			if got, err := c.send(sentAs(h.ctx(), "A"), h); err != nil || !cmp.Equal(want, got) {
				t.Errorf("%s again: %v, differs by\n%s", c.name, err, cmp.Diff(want, got))
			}
		}
	}
}

// What was sent again is another request when its caller, content or id differs,
// when it has no id, when too much time has passed, and when something else has
// changed the object.
func TestRequestThatIsAnotherOne(t *testing.T) {
	other := func(change func(r *vault.Request)) func(h *harness) context.Context {
		return func(h *harness) context.Context {
			r := &vault.Request{Tenant: "t", ObjectID: "o", AppID: "a", Method: "POST", Path: "/certificates/web", ID: "A"}
			change(r)
			return vault.WithRequest(h.ctx(), r)
		}
	}
	sum := sha256.Sum256([]byte("{}"))
	for _, c := range repeatCases(t) {
		if c.name == "cancel" { // the wish is the same whoever has it
			continue
		}
		for what, again := range map[string]func(h *harness) context.Context{
			"another tenant":  other(func(r *vault.Request) { r.Tenant = "u" }),
			"another user":    other(func(r *vault.Request) { r.ObjectID = "p" }),
			"another program": other(func(r *vault.Request) { r.AppID = "b" }),
			"another method":  other(func(r *vault.Request) { r.Method = "PUT" }),
			"another path":    other(func(r *vault.Request) { r.Path += "x" }),
			"another id":      other(func(r *vault.Request) { r.ID = "B" }),
			"no id":           other(func(r *vault.Request) { r.ID = "" }),
			"other content":   other(func(r *vault.Request) { r.Content = sum[:] }),
			"late": func(h *harness) context.Context {
				h.clock.Advance(5 * time.Minute)
				return sentAs(h.ctx(), "A")
			},
			"after a change": func(h *harness) context.Context {
				if c.change != nil {
					c.change(h)
				}
				return sentAs(h.ctx(), "A")
			},
		} {
			if what == "after a change" && c.change == nil {
				continue
			}
			h := newHarness(t, nil)
			c.before(h)
			first, err := c.send(sentAs(h.ctx(), "A"), h)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			h.clock.Advance(2 * time.Second)
			writes := h.store.Calls()
			got, err := c.send(again(h), h)
			if err == nil && first != nil && cmp.Equal(first, got) {
				t.Errorf("%s, %s: the answer of the first: %+v after %v", c.name, what, got, writes)
			}
			if reason, ok := c.undone.(vault.Reason); ok && what == "after a change" && reasonIn(err) != reason {
				t.Errorf("%s, %s: %v", c.name, what, err)
			}
		}
	}
}

func reasonIn(err error) vault.Reason {
	if e, ok := errors.AsType[*vault.Error](err); ok {
		return e.Reason
	}
	if err != nil {
		return vault.BadParameter
	}
	return 0
}

// A request whose answer storage lost is carried out once.
func TestRequestWhoseAnswerWasLost(t *testing.T) {
	for _, c := range repeatCases(t) {
		h := newHarness(t, nil)
		c.before(h)
		st := &deaf{Store: h.store, lose: true}
		broken := &harness{t: h.t, Vault: open(t, st, h.clock, nil), store: h.store, clock: h.clock}
		_, _ = c.send(sentAs(h.ctx(), "A"), broken)
		st.lose = false
		want, err := c.send(sentAs(h.ctx(), "A"), broken)
		if err != nil {
			t.Errorf("%s again: %v", c.name, err)
			continue
		}
		if got, err := c.send(sentAs(h.ctx(), "A"), broken); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s once more: %v, %+v, want %+v", c.name, err, got, want)
		}
	}
}

// What remembers a purge goes by itself.
func TestRemovalIsForgotten(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	n := name(t, "web")
	h.mustImport("web", vault.ImportParams{Value: newExisting(t, ecKey, testStart).pfx(t)})
	if _, err := h.Delete(h.ctx(), n); err != nil {
		t.Fatal(err)
	}
	if err := h.Purge(sentAs(h.ctx(), "A"), n); err != nil {
		t.Fatal(err)
	}
	if err := h.Purge(sentAs(h.ctx(), "A"), n); err != nil {
		t.Errorf("the purge again: %v", err)
	}
	if err := h.Purge(sentAs(h.ctx(), "B"), n); reason(t, err) != vault.DeletedNotFound {
		t.Errorf("another purge: %v", err)
	}
	h.clock.Advance(6 * time.Minute)
	h.mustTick()
	for _, r := range h.store.Contents().Rows {
		if r.Key[0] == 'q' || r.Key[0] == 'd' {
			t.Errorf("row %s stays", r.Key)
		}
	}
}
