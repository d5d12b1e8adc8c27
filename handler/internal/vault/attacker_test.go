package vault_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/keyring"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/rootkey/rootkeytest"
	"github.com/certwright/certwright/handler/internal/seal"
	signing "github.com/certwright/certwright/handler/internal/signed"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// These tests are of an attacker who may write every row and every blob, and has no
// key. What is not refused, rows taken away or put back, is in docs/security.md, and
// notRefused names it.

// attacked is a vault with something of every kind that is stored.
type attacked struct {
	*harness
	requests []provider.Request // that the CA has seen
	issuers  []provider.Issuer  // with which it was asked
	revoked  []string           // serial numbers
}

// attackedCA is a CA that keeps what it is asked for waiting, or issues it, leaves
// something behind, and revokes.
type attackedCA struct {
	*stepping
	a    *attacked
	hold bool
}

func (p *attackedCA) Step(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
	p.a.requests, p.a.issuers = append(p.a.requests, req), append(p.a.issuers, req.Issuer)
	if p.hold {
		return json.RawMessage(`{"order":"1"}`), provider.Pending(time.Time{}, "waiting for approval")
	}
	return nil, issue(p.a.t, req)
}

func (p *attackedCA) Release(context.Context, provider.Request, json.RawMessage) error {
	return errors.New("not now")
}

func (p *attackedCA) Revoke(_ context.Context, _ provider.Issuer, c *x509.Certificate, _ int) error {
	p.a.revoked = append(p.a.revoked, c.SerialNumber.String())
	return nil
}

const issuerPassword = "CANARY-password-of-portal-A"

// newAttacked makes the vault. The CA of the provider Held does not answer, that of
// Issuing does.
func newAttacked(t *testing.T) *attacked {
	t.Helper()
	a := &attacked{harness: &harness{t: t, store: new(memory.Store), clock: newClock()}}
	told := &recorder{fails: func(context.Context, vault.Event) error { return errors.New("nobody answers") }}
	a.Vault = open(t, a.store, a.clock, map[string]provider.Provider{
		"held":    &attackedCA{a: a, hold: true},
		"issuing": &attackedCA{a: a},
	}, func(cfg *vault.Config) {
		cfg.Destinations = map[string]vault.Destination{"told": told}
		cfg.Concurrency = 1
	})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"Held", "Issuing"} {
		must(second(a.SetIssuer(ctx, issuerName(t, strings.ToLower(p)), vault.IssuerSet{Provider: &p, Password: new(issuerPassword)})))
	}
	must(second(a.SetContacts(ctx, []vault.Contact{{Email: "ops@example.com"}})))
	accounts := keyring.Ring{Store: trusted(t, a.store), Seal: testSealer(t).Seal, Open: testSealer(t).Open}
	must(second(accounts.Save(ctx, accountID, []byte("the key of an account"))))
	must(acme.Challenges{Store: trusted(t, a.store)}.Put(ctx, "token", "token.thumbprint"))
	a.mustSelf("web")
	a.mustSelf("other")
	a.mustUpdate("web", "", vault.UpdateParams{Tags: map[string]string{"a": "1"}})
	a.mustSelf("gone")
	must(second(a.Delete(ctx, name(t, "gone"))))
	for _, n := range []string{"waiting", "leaving"} {
		a.mustCreate(n, "held")
	}
	a.mustIssue("issued", vault.CreateParams{Policy: policyFor("issuing")})
	a.clock.Advance(3 * time.Second)
	a.mustTick()
	must(second(a.Delete(ctx, name(t, "leaving")))) // a release is left
	must(second(a.Revoke(ctx, name(t, "issued"), a.mustCertificate("issued").Version, 1)))
	return a
}

const accountID = "0123456789abcdef0123456789abcdef"

// raw reads a row as it is stored.
func (a *attacked) raw(key string) store.Row {
	a.t.Helper()
	r, err := a.store.Get(a.t.Context(), key)
	if err != nil {
		a.t.Fatal(err)
	}
	return r
}

// write writes rows past the vault.
func (a *attacked) write(rows ...store.Row) {
	a.t.Helper()
	var tx store.Tx
	for _, r := range rows {
		tx.Put(r)
	}
	if _, err := a.store.Commit(a.t.Context(), tx); err != nil {
		a.t.Fatal(err)
	}
}

// changed is a row whose document has another member.
func (a *attacked) changed(key string, change func(doc map[string]any)) store.Row {
	a.t.Helper()
	r := a.raw(key)
	var doc map[string]any
	if err := json.Unmarshal(r.Doc, &doc); err != nil {
		a.t.Fatal(err)
	}
	change(doc)
	var err error
	if r.Doc, err = json.Marshal(doc); err != nil {
		a.t.Fatal(err)
	}
	return r
}

// kindsOfRows are all that there are; how says what makes a row of the kind count.
var kindsOfRows = map[string]string{
	"c:": "signed", "v:": "signed", "x:": "signed", "r:": "signed", "w:": "signed",
	"e:": "signed", "i:": "signed", "t:": "signed", "s:contacts": "signed",
	"k:": "sealed", "a:": "sealed",
	"d:": "hint", "s:heartbeat": "hint",
}

// kindOf is the kind of a row.
func kindOf(key string) string {
	if strings.HasPrefix(key, "s:") {
		return key
	}
	return key[:2]
}

// notRefused is what cannot be told from what this vault wrote: see docs/security.md.
var notRefused = []string{"deleted", "replayed"}

// TestAttackerOnEveryKindOfRow does everything to a row of every kind, and reads it
// as the vault does.
func TestAttackerOnEveryKindOfRow(t *testing.T) {
	t.Parallel()
	a := newAttacked(t)
	ctx := t.Context()
	another := newAttacked(t) // its keys are of the same root, but of another partition
	own := signedBy(t, a.store, bytes.Repeat([]byte{66}, rootkey.Size))
	elsewhere, err := signing.New(signing.Config{Store: another.store, Partition: "vault2", Keys: rootkeytest.Fixed(t, "vault2", nil)})
	if err != nil {
		t.Fatal(err)
	}
	reads := trusted(t, a.store)

	one := make(map[string]store.Row) // of each kind
	for _, r := range a.store.Contents().Rows {
		kind := kindOf(r.Key)
		if kindsOfRows[kind] == "" {
			t.Errorf("row %q is of a kind that this test does not know", r.Key)
		}
		if kindsOfRows[kind] != "signed" && r.Mac != "" || kindsOfRows[kind] == "signed" && r.Mac == "" {
			t.Errorf("row %q has the MAC %q", r.Key, r.Mac)
		}
		if _, seen := one[kind]; !seen {
			one[kind] = r
		}
	}
	for kind := range kindsOfRows {
		row, ok := one[kind]
		if !ok {
			t.Errorf("the vault has no row of the kind %s", kind)
			continue
		}
		for what, attack := range map[string]func() store.Row{
			"forged without a MAC": func() store.Row {
				return store.Row{Key: row.Key, Label: row.Label, Doc: spaced(row.Doc)}
			},
			"forged with another key": func() store.Row {
				return resigned(t, a, own, store.Row{Key: row.Key, Label: row.Label, Doc: row.Doc})
			},
			"changed": func() store.Row {
				r := row
				r.Doc = spaced(row.Doc)
				return r
			},
			"relabelled": func() store.Row {
				r := row
				r.Label += "x"
				return r
			},
			"moved to another name": func() store.Row {
				r := row
				r.Key += "x"
				return r
			},
			"moved to another kind": func() store.Row {
				r := row
				r.Key = "i:" + strings.ReplaceAll(row.Key, ":", "-")
				return r
			},
			"moved from another vault": func() store.Row {
				r := row
				if _, err := elsewhere.Commit(ctx, store.Tx{Actions: []store.Action{{Verb: store.Put, Row: r}}}); err != nil {
					t.Fatal(err)
				}
				return another.raw(row.Key)
			},
			"replayed": func() store.Row { return row },
		} {
			target := attack()
			a.write(target)
			got, err := reads.Get(ctx, target.Key)
			refused := errors.Is(err, store.ErrNotAuthentic)
			now := kindsOfRows[kindOf(target.Key)]
			signed := now != "sealed" && now != "hint" // also of a kind that nobody knows
			switch {
			case slices.Contains(notRefused, what):
				if err != nil {
					t.Errorf("%s, %s: %v", target.Key, what, err)
				}
			case signed && (!refused || got.Doc != nil):
				t.Errorf("%s, %s: get returns %q, %v", target.Key, what, got.Doc, err)
			case !signed && err != nil:
				t.Errorf("%s, %s: %v", target.Key, what, err)
			}
			a.checkScan(reads, target.Key, refused)
			if target.Key != row.Key {
				a.take(target.Key)
			}
			a.write(row)
		}
		a.take(row.Key) // deleted
		if _, err := reads.Get(ctx, row.Key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s, deleted: %v", row.Key, err)
		}
		a.write(row)
	}
}

// checkScan demands that a scan goes on over a row that counts for nothing.
func (a *attacked) checkScan(reads store.Store, key string, refused bool) {
	a.t.Helper()
	rows, err := reads.Scan(a.t.Context(), store.Range{From: " ", To: "~", Limit: 1000})
	if err != nil || len(rows) != len(a.store.Contents().Rows) {
		a.t.Errorf("with %s: a scan of %d rows, %v", key, len(rows), err)
	}
	for _, r := range rows {
		if bad := errors.Is(r.Err, store.ErrNotAuthentic); bad != (refused && r.Key == key) {
			a.t.Errorf("with %s: a scan shows %s with error %v", key, r.Key, r.Err)
		}
	}
}

func (a *attacked) take(key string) {
	a.t.Helper()
	var tx store.Tx
	tx.Remove(key)
	if _, err := a.store.Commit(a.t.Context(), tx); err != nil {
		a.t.Fatal(err)
	}
}

// spaced is a document in other bytes.
func spaced(doc []byte) []byte { return append(bytes.Clone(doc), ' ') }

// signedBy is a store whose root is another secret under the same id.
func signedBy(t *testing.T, rows store.Store, secret []byte) store.Store {
	t.Helper()
	s, err := signing.New(signing.Config{Store: rows, Partition: "test", Keys: rootkeytest.Fixed(t, "test", func(cfg *rootkey.Config) {
		cfg.Current.Value = secret
	})})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// resigned is a row as a store signs it.
func resigned(t *testing.T, a *attacked, st store.Store, r store.Row) store.Row {
	t.Helper()
	if _, err := st.Commit(t.Context(), store.Tx{Actions: []store.Action{{Verb: store.Put, Row: r}}}); err != nil {
		t.Fatal(err)
	}
	return a.raw(r.Key)
}

// TestAttackerOnSealedValues: keys, accounts and passwords open in their own place
// alone.
func TestAttackerOnSealedValues(t *testing.T) {
	t.Parallel()
	a := newAttacked(t)
	ctx := t.Context()
	keyRow := func(n string) store.Row {
		for _, r := range a.store.Contents().Rows {
			if strings.HasPrefix(r.Key, "k:"+n+":") {
				return r
			}
		}
		t.Fatalf("%s has no key", n)
		return store.Row{}
	}
	web, other := keyRow("web"), keyRow("other")
	for what, doc := range map[string][]byte{
		"another certificate's key": other.Doc,
		"garbage":                   []byte(`{"schema":1,"sealed":"AgAA"}`),
		"nothing":                   []byte(`{"schema":1}`),
		"a key of the attacker":     []byte(`{"schema":1,"sealed":"` + base64.StdEncoding.EncodeToString(sealedByAttacker(t, "key", "web", web.Key[len("k:web:"):])) + `"}`),
	} {
		r := web
		r.Doc = doc
		a.write(r)
		if s, err := a.Secret(ctx, name(t, "web"), "", nil); err == nil {
			t.Errorf("key row with %s: the secret is %q", what, s.Value)
		}
		if _, _, err := a.Sign(ctx, name(t, "web"), "", "RS256", make([]byte, 32)); err == nil {
			t.Errorf("key row with %s: it signs", what)
		}
	}
	a.write(web)
	a.mustSecret("web", "")

	ring := keyring.Ring{Store: trusted(t, a.store), Seal: testSealer(t).Seal, Open: testSealer(t).Open}
	account := a.raw("a:" + accountID)
	moved := account
	moved.Key = "a:" + strings.Repeat("f", 32)
	a.write(moved)
	if key, err := ring.Load(ctx, strings.Repeat("f", 32)); err == nil {
		t.Errorf("an account's key moved to another: %q", key)
	}
}

// sealedByAttacker is a value that is sealed under a secret of the attacker's.
func sealedByAttacker(t *testing.T, kind, n, id string) []byte {
	t.Helper()
	attacker, err := seal.New(seal.Config{VaultID: "test", KEK: new(seal.FileKEK), Keys: rootkeytest.Fixed(t, "test", func(cfg *rootkey.Config) {
		cfg.Current.Value = bytes.Repeat([]byte{66}, rootkey.Size)
	})})
	if err != nil {
		t.Fatal(err)
	}
	key, err := policy.GenerateKey(policy.KeyProperties{Type: policy.KeyEC, Curve: "P-256"})
	if err != nil {
		t.Fatal(err)
	}
	der, err := policy.MarshalKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := attacker.Seal(t.Context(), kind, n, id, der)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// csrOf is the attacker's own CSR.
func csrOf(t *testing.T, dns string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: dns}, DNSNames: []string{dns}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// dueFor is a due row that anybody can write.
func (a *attacked) dueFor(id, kind, label string) store.Row {
	at := a.clock.Now()
	doc := fmt.Sprintf(`{"schema":1,"at":%q,"name":%q,"kind":%q}`, at.Format(time.RFC3339Nano), id, kind)
	return store.Row{Key: fmt.Sprintf("d:0:%013d:%s:%s", at.UnixMilli(), id, kind), Label: label, Doc: []byte(doc)}
}

// TestAttackerHasNothingCertified: neither a CSR put into an operation, nor an
// operation out of nothing, reaches a CA with the vault's credentials.
func TestAttackerHasNothingCertified(t *testing.T) {
	t.Parallel()
	a := newAttacked(t)
	evil := base64.StdEncoding.EncodeToString(csrOf(t, "www.victim.example"))
	asked := len(a.requests)
	inside := a.changed("c:waiting", func(doc map[string]any) { doc["operation"].(map[string]any)["csr"] = evil })
	outside := a.changed("c:waiting", func(doc map[string]any) {
		doc["name"] = "mallory"
		op := doc["operation"].(map[string]any)
		op["csr"], op["requestId"] = evil, strings.Repeat("e", 32)
		delete(op, "state")
	})
	outside.Key = "c:mallory"
	unsigned := outside
	unsigned.Key, unsigned.Mac = "c:mallory2", ""
	a.write(inside, outside, unsigned, a.dueFor("waiting", "advance", "held"), a.dueFor("mallory", "advance", "held"), a.dueFor("mallory2", "advance", "held"))
	for range 5 {
		a.clock.Advance(time.Hour)
		_, _ = a.Advance(t.Context())
	}
	for _, req := range a.requests[asked:] {
		if csr, err := x509.ParseCertificateRequest(req.CSR); err != nil || slices.Contains(csr.DNSNames, "www.victim.example") {
			t.Errorf("the CA was asked for %v (%v)", csr.DNSNames, err)
		}
	}
	for _, n := range []string{"waiting", "mallory", "mallory2"} {
		if op, err := a.Operation(t.Context(), name(t, n), ""); err == nil {
			t.Errorf("the operation of %s is shown: %+v", n, op)
		}
	}
}

// TestAttackerRevokesNothing: a revocation that nobody asked for reaches no CA.
func TestAttackerRevokesNothing(t *testing.T) {
	t.Parallel()
	a := newAttacked(t)
	genuine := ""
	for _, r := range a.store.Contents().Rows {
		if strings.HasPrefix(r.Key, "w:") {
			genuine = r.Key
		}
	}
	a.mustTick()
	before := len(a.revoked)
	version := strings.Repeat("e", 32)
	row := a.changed(genuine, func(doc map[string]any) {
		doc["name"], doc["version"], doc["status"] = "mallory", version, "inProgress"
		doc["due"] = a.clock.Now().Format(time.RFC3339Nano)
	})
	row.Key = "w:mallory:" + version
	unsigned := row
	unsigned.Mac = ""
	for _, r := range []store.Row{row, unsigned} {
		a.write(r, a.dueFor("mallory:"+version, "revoke", "issuing"))
		a.clock.Advance(time.Minute)
		_, _ = a.Advance(t.Context())
	}
	if len(a.revoked) != before {
		t.Errorf("the CA was asked to revoke %v", a.revoked[before:])
	}
}

// TestAttackerAndHeads: what a head says is not believed when somebody else says it.
func TestAttackerAndHeads(t *testing.T) {
	t.Parallel()
	a := newAttacked(t)
	ctx, n := t.Context(), name(t, "web")
	genuine := a.raw("c:web")
	leaf := func(key string) any {
		var doc struct{ Latest struct{ Leaf any } }
		if err := json.Unmarshal(a.raw(key).Doc, &doc); err != nil {
			t.Fatal(err)
		}
		return doc.Latest.Leaf
	}
	for what, change := range map[string]func(doc map[string]any){
		"exportable": func(doc map[string]any) {
			doc["latest"].(map[string]any)["key"].(map[string]any)["exportable"] = true
		},
		"another leaf": func(doc map[string]any) { doc["latest"].(map[string]any)["leaf"] = leaf("c:other") },
		"enabled":      func(doc map[string]any) { doc["latest"].(map[string]any)["enabled"] = false },
		"a subject": func(doc map[string]any) {
			doc["policy"].(map[string]any)["x509"].(map[string]any)["subject"] = "CN=evil.example.com"
		},
		"deleted": func(doc map[string]any) {
			doc["deletion"] = map[string]any{"at": "2026-01-01T00:00:00Z", "purgeAt": "2026-01-02T00:00:00Z"}
		},
	} {
		a.write(a.changed("c:web", change))
		for call, err := range map[string]error{
			"certificate": second(a.Certificate(ctx, n)),
			"secret":      second(a.Secret(ctx, n, "", nil)),
			"key":         second(a.Key(ctx, n, "")),
			"backup":      second(a.Backup(ctx, n)),
			"update":      second(a.UpdateVersion(ctx, n, "", vault.UpdateParams{Tags: map[string]string{}})),
			"delete":      second(a.Delete(ctx, n)),
			"purge":       a.Purge(ctx, n),
		} {
			if err == nil {
				t.Errorf("head changed, %s: %s is served", what, call)
			}
		}
		a.write(genuine)
	}
	a.mustSecret("web", "")
	if _, err := a.Recover(ctx, name(t, "gone")); err != nil {
		t.Errorf("recover: %v", err)
	}
}

// TestAttackerAndChains: a chain blob counts as it was written.
func TestAttackerAndChains(t *testing.T) {
	t.Parallel()
	a := newAttacked(t)
	ctx, n := t.Context(), name(t, "web")
	chains := make(map[string][]byte)
	var of, other string
	for blob, text := range a.store.Contents().Blobs {
		chains[blob] = text
		switch {
		case strings.HasPrefix(blob, "web/"):
			of = blob
		case strings.HasPrefix(blob, "other/"):
			other = blob
		}
	}
	replace := func(text []byte) {
		t.Helper()
		if err := a.store.DeleteBlob(ctx, of); err != nil {
			t.Fatal(err)
		}
		if err := a.store.PutBlob(ctx, of, text); err != nil {
			t.Fatal(err)
		}
	}
	for what, text := range map[string][]byte{
		"another certificate's":           chains[other],
		"with a certificate more":         slices.Concat(chains[of], chains[other]),
		"with a line more":                append(slices.Clone(chains[of]), '\n'),
		"garbage":                         []byte("not PEM"),
		"nothing":                         {},
		"another's before the right leaf": slices.Concat(chains[other], chains[of]),
	} {
		replace(text)
		if s, err := a.Secret(ctx, n, "", nil); err == nil {
			t.Errorf("chain replaced, %s: the secret is %.60q", what, s.Value)
		}
		if _, err := a.Backup(ctx, n); err == nil {
			t.Errorf("chain replaced, %s: a backup is made", what)
		}
	}
	replace(chains[of])
	a.mustSecret("web", "")
}

// TestAttackerAndPasswords: an issuer's password reaches no provider but its own.
func TestAttackerAndPasswords(t *testing.T) {
	t.Parallel()
	a := newAttacked(t)
	ctx := t.Context()
	a.write(a.changed("i:held", func(doc map[string]any) { doc["provider"] = "Issuing" }))
	asked := len(a.issuers)
	if _, err := a.Create(ctx, name(t, "trap"), vault.CreateParams{Policy: policyFor("held")}); err == nil {
		t.Error("an issuer whose provider was changed is used")
	}
	a.clock.Advance(time.Minute)
	_, _ = a.Advance(ctx)
	for _, issuer := range a.issuers[asked:] {
		if issuer.Password == issuerPassword && issuer.Provider != "Held" {
			t.Errorf("the provider %s got the password", issuer.Provider)
		}
	}
}

// TestAttackerAndChallenges: nobody but the vault proves names.
func TestAttackerAndChallenges(t *testing.T) {
	t.Parallel()
	a := newAttacked(t)
	challenges := acme.Challenges{Store: trusted(t, a.store)}
	a.write(store.Row{Key: "t:forged", Doc: []byte(`{"schema":1,"keyAuthorization":"forged.thumbprint"}`)})
	moved := a.raw("t:token")
	moved.Key = "t:moved"
	a.write(moved)
	for _, token := range []string{"forged", "moved"} {
		if text, err := challenges.Get(t.Context(), token); err == nil {
			t.Errorf("the challenge %s is answered: %s", token, text)
		}
	}
	if text, err := challenges.Get(t.Context(), "token"); text != "token.thumbprint" || err != nil {
		t.Errorf("the vault's own challenge: %q, %v", text, err)
	}
}

// TestPasswordStaysWithItsProvider: who may change issuers, and no more, does not
// move the password of one provider to another.
func TestPasswordStaysWithItsProvider(t *testing.T) {
	t.Parallel()
	a := newAttacked(t)
	ctx := t.Context()
	n := issuerName(t, "held")
	passwords := func(certificate string) []string {
		t.Helper()
		asked := len(a.issuers)
		a.mustCreate(certificate, "held")
		a.clock.Advance(time.Minute)
		a.mustTick()
		var got []string
		for _, issuer := range a.issuers[asked:] {
			if issuer.Name == "held" {
				got = append(got, issuer.Provider+" "+issuer.Password)
			}
		}
		return slices.Compact(got)
	}
	update := func(set vault.IssuerSet) {
		t.Helper()
		if _, err := a.UpdateIssuer(ctx, n, set); err != nil {
			t.Fatal(err)
		}
	}
	update(vault.IssuerSet{Provider: new("HELD")}) // the same, in other letters
	if got := passwords("p1"); !slices.Contains(got, "HELD "+issuerPassword) {
		t.Errorf("the provider in other letters got %q", got)
	}
	update(vault.IssuerSet{Provider: new("Issuing")})
	if got := passwords("p2"); !slices.Equal(got, []string{"Issuing "}) {
		t.Errorf("another provider got %q, want no password", got)
	}
	update(vault.IssuerSet{Provider: new("Held")})
	if got := passwords("p3"); slices.Contains(got, "Held "+issuerPassword) {
		t.Errorf("the password came back: %q", got)
	}
	update(vault.IssuerSet{Provider: new("Issuing"), Password: new("another password")})
	if got := passwords("p4"); !slices.Equal(got, []string{"Issuing another password"}) {
		t.Errorf("another provider with its own password got %q", got)
	}
}
