package vault_test

// Backups, and restores of them.

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/rootkey/rootkeytest"
	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

func (h *harness) mustBackup(n string) []byte {
	h.t.Helper()
	blob, err := h.Backup(context.Background(), name(h.t, n))
	if err != nil {
		h.t.Fatal(err)
	}
	return blob
}

// mustDestroy deletes and purges a certificate.
func (h *harness) mustDestroy(n string) {
	h.t.Helper()
	if _, err := h.Delete(context.Background(), name(h.t, n)); err != nil {
		h.t.Fatal(err)
	}
	if err := h.Purge(context.Background(), name(h.t, n)); err != nil {
		h.t.Fatal(err)
	}
	for blob := range h.store.Contents().Blobs {
		if strings.HasPrefix(blob, strings.ToLower(n)+"/") {
			h.t.Fatalf("after a purge blob %s is left", blob)
		}
	}
}

// uncheckedHarness does not check invariants, which takes time for each row that
// is there.
func uncheckedHarness(t testing.TB) *harness {
	t.Helper()
	h := &harness{t: t, store: new(memory.Store), clock: newClock()}
	h.Vault = open(t, h.store, h.clock, nil)
	return h
}

// seen is all that can be read of a certificate.
type seen struct {
	Latest   vault.Certificate
	Versions []vault.Certificate
	Secrets  []existing
}

func (h *harness) see(n string) seen {
	h.t.Helper()
	s := seen{Latest: h.mustCertificate(n)}
	s.Latest.Pending = false
	for after := ""; ; {
		page, next, err := h.Versions(context.Background(), name(h.t, n), vault.Page{After: after, Max: 25})
		if err != nil {
			h.t.Fatal(err)
		}
		for _, c := range page {
			c.Pending = false
			s.Versions = append(s.Versions, c)
			if c.Attributes.Enabled {
				s.Secrets = append(s.Secrets, parsePEM(h.t, string(h.mustSecret(n, c.Version).Value)))
			}
		}
		if after = next; after == "" {
			return s
		}
	}
}

// sameAs compares what was seen before a backup and after its restore.
func (s seen) sameAs(t testing.TB, other seen) {
	t.Helper()
	if diff := cmp.Diff([]any{s.Latest, s.Versions}, []any{other.Latest, other.Versions}, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if len(s.Secrets) != len(other.Secrets) {
		t.Fatalf("%d secrets became %d", len(s.Secrets), len(other.Secrets))
	}
	for i, secret := range s.Secrets {
		secret.check(t, "restored secret", other.Secrets[i])
	}
}

// history makes a certificate with some past: imported and issued versions, one
// of them disabled, tags, and an operation that is not backed up.
func (h *harness) history(n string, imports int) {
	h.t.Helper()
	h.mustSelf(n)
	old := h.mustUpdate(n, "", vault.UpdateParams{Tags: map[string]string{"a": "1"}, Attributes: vault.AttributeParams{Enabled: new(false)}})
	for range imports {
		e := newExisting(h.t, ecP256, h.clock.Now())
		h.mustImport(n, vault.ImportParams{Value: e.pem(h.t, e.chain...), Tags: map[string]string{"b": old.Version}, PreserveOrder: new(true)})
		h.clock.Advance(time.Second)
	}
	h.mustUpdate(n, "", vault.UpdateParams{Tags: map[string]string{"c": "3"}})
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.history("Web", 2)
	h.mustCreate("web", "Unknown")
	before := h.see("web")
	blob := h.mustBackup("WEB")
	h.clock.Advance(time.Hour)
	h.mustDestroy("web")
	restored, err := h.Restore(context.Background(), blob)
	if err != nil {
		t.Fatal(err)
	}
	if restored.Name != "Web" || restored.Pending {
		t.Errorf("restored %+v", restored)
	}
	after := h.see("web")
	before.sameAs(t, after)
	if diff := cmp.Diff(after.Latest, restored); diff != "" {
		t.Errorf("GET differs from what the restore returned:\n%s", diff)
	}
	if _, err := h.Operation(context.Background(), name(t, "web"), ""); reason(t, err) != vault.OperationNotFound {
		t.Errorf("operation of a restored certificate: %v", err)
	}
	keys := 0
	for _, r := range h.store.Contents().Rows {
		if strings.HasPrefix(r.Key, "k:") {
			keys++
		}
		if strings.HasPrefix(r.Key, "d:") && !strings.HasPrefix(r.Key, "d:2:") { // but what the latest version's expiry calls for
			t.Errorf("due row %s is left of the restore", r.Key)
		}
	}
	if keys != 3 {
		t.Errorf("%d keys for 3 versions: the operation's is among them", keys)
	}
	// It lives on.
	h.mustSelf("web")
	if got := h.see("web"); len(got.Versions) != 4 {
		t.Errorf("%d versions", len(got.Versions))
	}
}

// TestBackupLongHistory: more versions than rows fit into a transaction.
func TestBackupLongHistory(t *testing.T) {
	t.Parallel()
	blob, before := backupOf(t, 119)
	h := uncheckedHarness(t)
	if _, err := h.Restore(context.Background(), blob); err != nil {
		t.Fatal(err)
	}
	stored := h.store.Contents()
	if err := vault.Invariants(stored.Rows, stored.Blobs); err != nil {
		t.Error(err)
	}
	if commits := h.store.Calls()[memory.Commit]; commits != 4 { // 240 rows, and the end
		t.Errorf("a restore of 120 versions takes %d transactions, want 4", commits)
	}
	if len(before.Versions) != 120 {
		t.Fatalf("%d versions", len(before.Versions))
	}
	before.sameAs(t, h.see("web"))
}

// TestBackupSharedKey: two versions of one key are restored with one key.
func TestBackupSharedKey(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	p := policyFor("Self")
	p.Key, p.ContentType = &policy.KeyParams{Reuse: new(true)}, new(policy.ContentPEM)
	for range 2 {
		if _, err := h.Create(context.Background(), name(t, "web"), vault.CreateParams{Policy: p}); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(2 * time.Second)
		h.mustOperation("web")
	}
	before := h.see("web")
	blob := h.mustBackup("web")
	h.mustDestroy("web")
	if _, err := h.Restore(context.Background(), blob); err != nil {
		t.Fatal(err)
	}
	before.sameAs(t, h.see("web"))
	if len(before.Secrets) != 2 {
		t.Fatalf("%d secrets", len(before.Secrets))
	}
}

func TestBackupRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	h.mustCreate("shell", "Unknown")
	h.mustSelf("deleted")
	if _, err := h.Delete(ctx, name(t, "deleted")); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"none", "shell", "deleted"} {
		if _, err := h.Backup(ctx, name(t, n)); reason(t, err) != vault.CertificateNotFound {
			t.Errorf("%s: %v, want CertificateNotFound", n, err)
		}
	}
}

// TestBackupTooLong: Key Vault backs up 500 versions and no more.
func TestBackupTooLong(t *testing.T) {
	t.Parallel()
	h := uncheckedHarness(t)
	e := newExisting(t, ecP256, h.clock.Now())
	p := vault.ImportParams{Value: e.pem(t, e.chain...)}
	for range 500 {
		h.mustImport("web", p)
	}
	blob := h.mustBackup("web")
	h.mustImport("web", p)
	if _, err := h.Backup(context.Background(), name(t, "web")); reason(t, err) != vault.BadParameter {
		t.Errorf("501 versions: %v, want BadParameter", err)
	}
	h.mustDestroy("web")
	if _, err := h.Restore(context.Background(), blob); err != nil {
		t.Errorf("500 versions: %v", err)
	}
}

// TestBackupOfMovingCertificate: what changes while it is read is read again.
func TestBackupOfMovingCertificate(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.history("web", 1)
	moves := 0
	store := storetest.NewFaulty(h.store, func(c storetest.Call) storetest.Fault {
		if c.Kind == memory.Scan && strings.HasPrefix(c.Key, "k:") && moves < 2 {
			moves++
			e := newExisting(t, ecP256, h.clock.Now())
			h.mustImport("web", vault.ImportParams{Value: e.pem(t, e.chain...)})
		}
		return storetest.None
	})
	blob, err := open(t, store, h.clock, nil).Backup(context.Background(), name(t, "web"))
	if err != nil || moves != 2 {
		t.Fatalf("%d moves: %v", moves, err)
	}
	before := h.see("web")
	h.mustDestroy("web")
	if _, err := h.Restore(context.Background(), blob); err != nil {
		t.Fatal(err)
	}
	before.sameAs(t, h.see("web"))
}

func TestRestoreRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	h.history("web", 1)
	blob := h.mustBackup("web")
	id := h.mustCertificate("web").Version
	restore := func(what string, want vault.Reason, named string) {
		t.Helper()
		before := h.store.Contents()
		if _, err := h.Restore(ctx, blob); reason(t, err) != want || err.(*vault.Error).Name != named {
			t.Errorf("%s: %v, want reason %d", what, err, want)
		}
		if diff := cmp.Diff(before, h.store.Contents()); diff != "" {
			t.Errorf("%s: the store changed:\n%s", what, diff)
		}
	}
	restore("over itself", vault.RestoreConflict, "web/"+id)
	if _, err := h.Delete(ctx, name(t, "web")); err != nil {
		t.Fatal(err)
	}
	restore("over a deleted certificate", vault.DeletedButRecoverable, "web")
	if err := h.Purge(ctx, name(t, "web")); err != nil {
		t.Fatal(err)
	}
	h.mustCreate("web", "Unknown")
	restore("over another that was never completed", vault.RestoreConflict, "web/"+id)
}

// TestRestoreMalformed: nothing but a whole blob of this vault is taken, and
// what is refused changes nothing.
func TestRestoreMalformed(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.history("web", 1)
	blob := h.mustBackup("web")
	h.mustDestroy("web")
	const (
		corrupt = "Backup blob is corrupt."
		version = "Backup blob contains invalid or corrupt version."
	)
	refused := func(what string, blob []byte, details ...string) {
		t.Helper()
		_, err := h.Restore(context.Background(), blob)
		if reason(t, err) != vault.MalformedBackup || !strings.Contains(strings.Join(details, "\n"), err.(*vault.Error).Detail) {
			t.Errorf("%s: %v, want MalformedBackup with %q", what, err, details)
		}
	}
	refused("nothing", nil, corrupt)
	refused("garbage as the Java client's tests send", []byte("non-existing"), corrupt)
	refused("zeros as the JavaScript client's tests send", make([]byte, 4728), version)
	refused("a backup of Key Vault", []byte("&AzureKeyVaultKeyBackupV1.microsoft.com..."), version)
	refused("one more byte", append(bytes.Clone(blob), 0), corrupt)
	header := 1 + int(blob[0])
	for at := range blob {
		if at > 2*header && at%37 != 0 && at < len(blob)-32 {
			continue
		}
		refused(fmt.Sprintf("cut at %d", at), blob[:at], corrupt)
		changed := bytes.Clone(blob)
		changed[at] ^= 0x10
		refused(fmt.Sprintf("changed at %d", at), changed, corrupt, version)
	}
	if rows := h.store.Contents().Rows; len(rows) > 0 {
		t.Errorf("%d rows were written", len(rows))
	}
	if _, err := h.Restore(context.Background(), blob); err != nil {
		t.Errorf("the blob itself: %v", err)
	}
}

// TestRestoreForeign: a backup of another vault is not ours, whatever key
// encrypts it.
func TestRestoreForeign(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.history("web", 1)
	blob := h.mustBackup("web")
	h.mustDestroy("web")
	for what, open := range map[string]error{"unavailable": &vault.Error{Reason: vault.Unavailable}, "refused": seal.ErrRefused} {
		v := openWith(t, h.store, h.clock, func(cfg *vault.Config) {
			cfg.Open = func(context.Context, string, string, string, []byte) ([]byte, error) {
				return nil, fmt.Errorf("opening: %w", open)
			}
		})
		want := map[string]vault.Reason{"unavailable": vault.Unavailable, "refused": vault.MalformedBackup}[what]
		var e *vault.Error
		if _, err := v.Restore(context.Background(), blob); !errors.As(err, &e) || e.Reason != want {
			t.Errorf("%s: %v, want reason %d", what, err, want)
		}
	}
	other := openWith(t, h.store, h.clock, func(cfg *vault.Config) {
		sealer := foreignSealer(t)
		cfg.Seal, cfg.Open = sealer.Seal, sealer.Open
	})
	if _, err := other.Restore(context.Background(), blob); reason(t, err) != vault.MalformedBackup {
		t.Errorf("in another vault: %v, want MalformedBackup", err)
	}
}

// TestRestoreIncomplete: what is sealed well may still lack parts of a certificate.
func TestRestoreIncomplete(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	h.history("web", 1)
	blob := h.mustBackup("web")
	h.mustDestroy("web")
	sealer := testSealer(t)
	header := 1 + int(blob[0])
	format := string(blob[1:header])
	plain, err := sealer.Open(ctx, "backup", "", format, blob[header:])
	if err != nil {
		t.Fatal(err)
	}
	reseal := func(plain []byte) []byte {
		t.Helper()
		sealed, err := sealer.Seal(ctx, "backup", "", format, plain)
		if err != nil {
			t.Fatal(err)
		}
		return append(bytes.Clone(blob[:header]), sealed...)
	}
	type object = map[string]any
	versions := func(b object) []any { return b["versions"].([]any) }
	version := func(b object) object { return versions(b)[0].(object) }
	in := func(o object, path ...string) object {
		for _, member := range path {
			o = o[member].(object)
		}
		return o
	}
	for what, change := range map[string]func(object){
		"a newer schema":                  func(b object) { b["schema"] = 99 },
		"no name":                         func(b object) { b["name"] = "" },
		"a name that is none":             func(b object) { b["name"] = "a/b" },
		"no versions":                     func(b object) { b["versions"] = nil },
		"a latest that is not there":      func(b object) { b["latest"] = strings.Repeat("0", 32) },
		"no keys":                         func(b object) { b["keys"] = nil },
		"a key too many":                  func(b object) { b["keys"].(object)[strings.Repeat("0", 32)] = anyOf(b["keys"].(object)) },
		"a key that is none":              func(b object) { b["keys"].(object)[strings.Repeat("0", 32)] = "AAAA" },
		"a key id that is none":           func(b object) { b["keys"].(object)["a:b"] = anyOf(b["keys"].(object)) },
		"a version id that is none":       func(b object) { version(b)["version"].(object)["id"] = "a:b" },
		"a version twice":                 func(b object) { b["versions"] = append(versions(b), version(b)) },
		"too many versions":               func(b object) { b["versions"] = make([]object, 501) },
		"no chain":                        func(b object) { version(b)["chain"] = nil },
		"a chain that is none":            func(b object) { version(b)["chain"] = []string{"AAAA"} },
		"a policy's key size":             func(b object) { in(b, "policy", "key")["size"] = 1024 },
		"a policy's key type":             func(b object) { in(b, "policy", "key")["type"] = "oct" },
		"a policy's subject":              func(b object) { in(b, "policy", "x509")["subject"] = "CN" },
		"a policy's names":                func(b object) { in(b, "policy", "x509")["sans"] = object{"dnsNames": []string{"a b"}} },
		"a policy's key usage":            func(b object) { in(b, "policy", "x509")["ekus"] = []string{"x"} },
		"a policy's validity":             func(b object) { in(b, "policy", "x509")["validityMonths"] = 5000 },
		"a policy's issuer":               func(b object) { in(b, "policy", "issuer")["name"] = "../ca" },
		"a policy's product":              func(b object) { in(b, "policy", "issuer")["certificateType"] = strings.Repeat("x", 129) },
		"a policy's content type":         func(b object) { in(b, "policy")["contentType"] = "text/html" },
		"a policy's actions":              func(b object) { in(b, "policy")["lifetimeActions"] = []object{{"action": "Explode", "percentage": 80}} },
		"a policy of the future":          func(b object) { in(b, "policy")["updated"] = "2126-01-01T00:00:00Z" },
		"a date before there was a vault": func(b object) { b["created"] = "0001-01-01T00:00:00Z" },
		"a version of the future":         func(b object) { in(version(b), "version")["created"] = "2126-01-01T00:00:00Z" },
		"a version's content type":        func(b object) { in(version(b), "version")["contentType"] = "text/html" },
		"another key's size":              func(b object) { in(version(b), "version", "key")["size"] = 4096 },
		"another key's type":              func(b object) { in(version(b), "version", "key")["type"] = "oct" },
		"a predecessor that is none":      func(b object) { in(version(b), "version")["previous"] = "a:b" },
		"a long issuer":                   func(b object) { in(version(b), "version")["issuer"] = strings.Repeat("x", 2000) },
		"too many tags": func(b object) {
			tags := object{}
			for i := range 16 {
				tags[fmt.Sprint(i)] = "x"
			}
			in(version(b), "version")["tags"] = tags
		},
		"another key's chain": func(b object) {
			version(b)["chain"] = versions(b)[1].(object)["chain"]
		},
	} {
		var b object
		if err := json.Unmarshal(plain, &b); err != nil {
			t.Fatal(err)
		}
		change(b)
		changed, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Restore(ctx, reseal(changed)); reason(t, err) != vault.MalformedBackup {
			t.Errorf("%s: %v, want MalformedBackup", what, err)
		}
	}
	if _, err := h.Restore(ctx, reseal([]byte("no JSON"))); reason(t, err) != vault.MalformedBackup {
		t.Errorf("no JSON: %v, want MalformedBackup", err)
	}
	if _, err := h.Restore(ctx, reseal(plain)); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

// TestRestoreOfTheFirstFormat: anybody who knows the public half of a Key Vault key
// can make a backup of 0.1.0. Whose CA issued what is in it is not believed, or that CA
// would be asked to revoke it.
func TestRestoreOfTheFirstFormat(t *testing.T) {
	t.Parallel()
	h, p, version := newRevoking(t)
	p.revoke = func(provider.Issuer, *x509.Certificate, int) error { return nil }
	ctx, n, sealer := t.Context(), name(t, "web"), testSealer(t)
	blob := h.mustBackup("web")
	const first, second = "CertwrightCertificateBackupV1", "CertwrightCertificateBackupV2"
	end := 1 + len(second)
	if string(blob[1:end]) != second {
		t.Fatalf("a backup begins with %q", blob[:end])
	}
	plain, err := sealer.Open(ctx, "backup", "", second, blob[end:])
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sealer.Seal(ctx, "backup", "", first, plain)
	if err != nil {
		t.Fatal(err)
	}
	for format, restored := range map[string][]byte{second: blob, first: slices.Concat([]byte{byte(len(first))}, []byte(first), sealed)} {
		h.mustDestroy("web")
		if _, err := h.Restore(ctx, restored); err != nil {
			t.Fatal(err)
		}
		_, err := h.Revoke(ctx, n, version, 1)
		if believed := err == nil; believed != (format == second) {
			t.Errorf("%s: revoking a version that was restored: %v", format, err)
		}
		if format == second {
			h.mustTick()
			h.mustTick()
		}
	}
	if _, err := h.Restore(ctx, append([]byte{byte(len(second))}, append([]byte(second), sealed...)...)); reason(t, err) != vault.MalformedBackup {
		t.Errorf("the first format under the name of the second: %v", err)
	}
}

// foreignSealer belongs to another vault.
func foreignSealer(t testing.TB) *seal.Sealer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	kek, err := seal.NewFileKEK(file)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(seal.Config{VaultID: "another", KEK: kek, Keys: rootkeytest.Fixed(t, "another", func(cfg *rootkey.Config) {
		cfg.Installation = rootkeytest.Root
	})})
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

func anyOf(m map[string]any) any {
	for _, v := range m {
		return v
	}
	return nil
}

func FuzzRestore(f *testing.F) {
	h := newHarness(f, nil)
	h.history("web", 1)
	blob := h.mustBackup("web")
	h.mustDestroy("web")
	header := 1 + int(blob[0])
	for _, seed := range [][]byte{nil, {0}, {255}, []byte("non-existing"), blob[:header], blob[:header+1], blob[:len(blob)-1], blob} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := h.Restore(t.Context(), data)
		switch {
		case bytes.Equal(data, blob) && (err == nil || reason(t, err) == vault.RestoreConflict):
		case err == nil || reason(t, err) != vault.MalformedBackup || err.(*vault.Error).Detail == "":
			t.Errorf("%x: %v, want MalformedBackup", data, err)
		}
	})
}
