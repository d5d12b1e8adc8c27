package vault_test

// Updates of versions and policies.

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// mustSelf completes a certificate of the issuer Self.
func (h *harness) mustSelf(n string) vault.Certificate {
	h.t.Helper()
	h.mustCreate(n, "Self")
	h.clock.Advance(2 * time.Second)
	if op := h.mustOperation(n); op.Status != vault.StatusCompleted {
		h.t.Fatalf("%s is %s", n, op.Status)
	}
	return h.mustCertificate(n)
}

func (h *harness) mustCertificate(n string) vault.Certificate {
	h.t.Helper()
	c, err := h.Certificate(context.Background(), name(h.t, n))
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *harness) mustUpdate(n, version string, p vault.UpdateParams) vault.Certificate {
	h.t.Helper()
	c, err := h.UpdateVersion(context.Background(), name(h.t, n), version, p)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func TestUpdateVersionTags(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustSelf("web")
	steps := []struct {
		what string
		tags map[string]string
		want map[string]string
	}{
		{"set", map[string]string{"a": "1", "b": "2"}, map[string]string{"a": "1", "b": "2"}},
		{"absent keeps", nil, map[string]string{"a": "1", "b": "2"}},
		{"replace all", map[string]string{"c": "3"}, map[string]string{"c": "3"}},
		{"empty clears", map[string]string{}, nil},
	}
	for _, s := range steps {
		got := h.mustUpdate("web", "", vault.UpdateParams{Tags: s.tags})
		if !maps.Equal(got.Tags, s.want) {
			t.Errorf("%s: tags are %v, want %v", s.what, got.Tags, s.want)
		}
		if diff := cmp.Diff(h.mustCertificate("web"), got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: GET differs from what the update returned:\n%s", s.what, diff)
		}
	}
	_, err := h.UpdateVersion(context.Background(), name(t, "web"), "", vault.UpdateParams{Tags: map[string]string{"": "x"}})
	if reason(t, err) != vault.BadParameter {
		t.Errorf("an empty tag name: %v, want BadParameter", err)
	}
}

func TestUpdatedGrows(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	last := h.mustSelf("web").Attributes.Updated
	for range 3 { // the clock stands still
		updated := h.mustUpdate("web", "", vault.UpdateParams{}).Attributes.Updated
		if updated.Unix() <= last.Unix() {
			t.Errorf("updated is %v after %v: must be another second", updated, last)
		}
		last = updated
	}
	h.clock.Advance(time.Hour)
	if updated := h.mustUpdate("web", "", vault.UpdateParams{}).Attributes.Updated; !updated.Equal(h.clock.Now()) {
		t.Errorf("updated is %v at %v", updated, h.clock.Now())
	}
}

func TestUpdateVersionDisables(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	first := h.mustSelf("web")
	second := h.mustSelf("web")
	ctx := context.Background()
	h.mustUpdate("web", first.Version, vault.UpdateParams{Attributes: vault.AttributeParams{Enabled: new(false)}})
	old, err := h.CertificateVersion(ctx, name(t, "web"), first.Version)
	if err != nil || old.Attributes.Enabled {
		t.Errorf("the old version is enabled %v, %v", old.Attributes.Enabled, err)
	}
	if c := h.mustCertificate("web"); !c.Attributes.Enabled || c.Version != second.Version {
		t.Error("the update of the old version touched the latest")
	}
	h.mustUpdate("web", strings.ToLower(second.Version), vault.UpdateParams{Attributes: vault.AttributeParams{Enabled: new(false)}})
	if c := h.mustCertificate("web"); c.Attributes.Enabled {
		t.Error("the latest version, named by its id, is still enabled")
	}
}

// TestUpdateVersionKeepsValidity: exp and nbf are what X.509 says, whatever is
// sent.
func TestUpdateVersionKeepsValidity(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	before := h.mustSelf("web")
	after := h.mustUpdate("web", "", vault.UpdateParams{Attributes: vault.AttributeParams{
		NotBefore: new(time.Unix(0, 0)), Expires: new(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)),
	}})
	if !after.Attributes.NotBefore.Equal(*before.Attributes.NotBefore) || !after.Attributes.Expires.Equal(*before.Attributes.Expires) {
		t.Errorf("validity became %v to %v", after.Attributes.NotBefore, after.Attributes.Expires)
	}
}

// TestUpdateShell: what is said about a certificate before it is complete counts
// for its first version.
func TestUpdateShell(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustCreate("web", "Self")
	shell := h.mustCertificate("web")
	p := vault.UpdateParams{Tags: map[string]string{"a": "1"}, Attributes: vault.AttributeParams{Enabled: new(false)}}
	updated := h.mustUpdate("web", shell.Version, p)
	if updated.Tags["a"] != "1" || updated.Leaf != nil || updated.Attributes.Updated.Unix() <= shell.Attributes.Updated.Unix() {
		t.Errorf("updated shell is %+v", updated)
	}
	h.clock.Advance(2 * time.Second)
	h.mustOperation("web")
	if c := h.mustCertificate("web"); c.Leaf == nil || c.Tags["a"] != "1" || c.Attributes.Enabled {
		t.Errorf("completed as %+v, want tags and enabled of the update", c)
	}
}

func TestUpdateVersionNotFound(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	h.mustSelf("web")
	h.mustCreate("lost", "Unknown")
	if _, err := h.DeleteOperation(ctx, name(t, "lost"), ""); err != nil {
		t.Fatal(err)
	}
	h.mustSelf("gone")
	if _, err := h.Delete(ctx, name(t, "gone")); err != nil {
		t.Fatal(err)
	}
	other := "00000000000000000000000000000000"
	for _, c := range []struct{ what, name, version string }{
		{"no such name", "none", ""},
		{"no such version", "web", other},
		{"no such version of a shell", "lost", other},
		{"deleted", "gone", ""},
	} {
		if _, err := h.UpdateVersion(ctx, name(t, c.name), c.version, vault.UpdateParams{}); reason(t, err) != vault.CertificateNotFound {
			t.Errorf("%s: %v, want CertificateNotFound", c.what, err)
		}
	}
	if _, err := h.UpdatePolicy(ctx, name(t, "gone"), policy.Params{}); reason(t, err) != vault.CertificateNotFound {
		t.Errorf("policy of a deleted certificate: %v, want CertificateNotFound", err)
	}
}

func TestUpdatePolicy(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	n := name(t, "web")
	before := *h.mustSelf("web").Policy
	op := h.mustCreate("web", "Self")
	key := &policy.KeyParams{Type: new(policy.KeyEC), Curve: new("P-256")}
	updated, err := h.UpdatePolicy(ctx, n, policy.Params{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if p := updated.Policy; p.Key.Type != policy.KeyEC || p.X509.Subject != before.X509.Subject || p.Updated.Unix() <= before.Updated.Unix() {
		t.Errorf("updated policy is %+v", p)
	}
	stored, err := h.Certificate(ctx, n)
	if diff := cmp.Diff(updated, stored); err != nil || diff != "" {
		t.Errorf("stored policy: %v, differs by\n%s", err, diff)
	}
	if now := h.mustOperation("web"); now.Policy.Key != op.Policy.Key {
		t.Error("the operation in progress got another policy")
	}
	h.clock.Advance(2 * time.Second)
	h.mustOperation("web")
	if next, err := h.Create(ctx, n, vault.CreateParams{}); err != nil || next.Policy.Key.Type != policy.KeyEC {
		t.Errorf("the next operation has key %+v, %v", next.Policy.Key, err)
	}
	_, err = h.UpdatePolicy(ctx, n, policy.Params{Key: &policy.KeyParams{Type: new("oct")}})
	if reason(t, err) != vault.BadParameter {
		t.Errorf("a bad key type: %v, want BadParameter", err)
	}
	if now := h.mustCertificate("web"); now.Policy.Key.Type != policy.KeyEC {
		t.Error("a refused update changed the policy")
	}
}

// TestUpdateVersionWithPolicy: PATCH of a certificate may bring a policy along.
func TestUpdateVersionWithPolicy(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustSelf("web")
	p := vault.UpdateParams{Policy: &policy.Params{ContentType: new(policy.ContentPEM)}, Tags: map[string]string{"a": "1"}}
	if c := h.mustUpdate("web", "", p); c.Policy.ContentType != policy.ContentPEM || c.Tags["a"] != "1" {
		t.Errorf("policy %+v, tags %v", c.Policy, c.Tags)
	}
	p.Policy.ContentType, p.Tags = new("text/plain"), map[string]string{"a": "2"}
	if _, err := h.UpdateVersion(context.Background(), name(t, "web"), "", p); reason(t, err) != vault.BadParameter {
		t.Errorf("a bad policy: %v, want BadParameter", err)
	}
	if c := h.mustCertificate("web"); c.Tags["a"] != "1" {
		t.Error("tags changed although the policy was refused")
	}
}

// Changes that do not contradict each other are all made, however many come at
// once.
func TestParallelUpdates(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustSelf("web")
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			p := vault.UpdateParams{Tags: map[string]string{"writer": strconv.Itoa(i)}}
			if _, err := h.UpdateVersion(context.Background(), name(t, "web"), "", p); err != nil {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	all.Wait()
}
