package kvhttp

// The map of errors to answers.

import (
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// refusal is an error answer as it must be, byte for byte.
func refusal(code, message, inner string) string {
	if inner != "" {
		inner = `,"innererror":{"code":"` + inner + `"}`
	}
	return `{"error":{"code":"` + code + `","message":"` + message + `"` + inner + `}}`
}

const (
	seeRecover     = " was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
	inProgress     = "A new key vault certificate can not be created or imported while a pending key vault certificate's status is inProgress."
	seeCertificate = ", since it is associated with a certificate. Perform the operation on the corresponding certificate. For more information refer to https://docs.microsoft.com/en-us/azure/key-vault/certificates/about-certificates#composition-of-a-certificate"
	deletedBut     = " is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the certificate can only be recovered or purged."
)

// Every refusal of a request, with the live service's words where they are
// known. That the store stays as it was is checked by do.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.script("myca", "hold")
	s.create("manual", "Unknown")
	s.create("held", "myca")
	s.complete("done")
	s.complete("shell")
	s.must("DELETE", "/certificates/shell/pending"+v74, "")
	s.create("removed", "Unknown")
	s.must("DELETE", "/certificates/removed"+v74, "")
	s.create("cancelled", "Unknown")
	s.must("PATCH", "/certificates/cancelled/pending"+v74, `{"cancellation_requested":true}`)
	s.clock.Advance(vaultGrace)
	if a := s.must("GET", "/certificates/cancelled/pending"+v74, ""); a.field(t, "status") != "cancelled" {
		t.Fatalf("got %s, want it cancelled", a.body)
	}
	good := newPair(t, s.clock.Now())
	s.must("POST", "/certificates/disabled/import"+v74, importOf(good.pem(t), `"attributes":{"enabled":false}`))
	s.must("POST", "/certificates/future/import"+v74, importOf(newPair(t, s.clock.Now().AddDate(1, 0, 0)).pem(t)))
	s.must("POST", "/certificates/encipher/create"+v74, `{"policy":{"x509_props":{"subject":"CN=a","key_usage":["keyEncipherment"]},"issuer":{"name":"Self"}}}`)
	s.clock.Advance(vaultGrace)
	s.must("GET", "/certificates/encipher/pending"+v74, "")
	ofDone := s.must("POST", "/certificates/done/backup"+v74, "").body
	doneVersion := path.Base(s.must("GET", "/certificates/done"+v74, "").field(t, "id").(string))
	s.must("POST", "/certificates/twice/import"+v74, importOf(good.pem(t)))
	ofRemoved := s.must("POST", "/certificates/twice/backup"+v74, "").body
	s.must("DELETE", "/certificates/twice"+v74, "")
	otherLeaf := issue(t, otherCSR(t), s.clock.Now())
	absentVersion := strings.Repeat("0", 32)

	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/certificates/none", "", 404, refusal("CertificateNotFound", "A certificate with (name/id) none"+seeRecover, "")},
		{"GET", "/certificates/none/", "", 404, refusal("CertificateNotFound", "A certificate with (name/id) none"+seeRecover, "")},
		{"GET", "/certificates/none/policy", "", 404, refusal("CertificateNotFound", "A certificate with (name/id) none"+seeRecover, "")},
		{"DELETE", "/certificates/none", "", 404, refusal("CertificateNotFound", "A certificate with (name/id) none"+seeRecover, "")},
		{"GET", "/certificates/removed", "", 404, refusal("CertificateNotFound", "A certificate with (name/id) removed"+seeRecover, "")},
		{"GET", "/certificates/done/" + absentVersion, "", 404, refusal("CertificateNotFound", "A certificate with (name/id) done/"+absentVersion+seeRecover, "")},
		{"GET", "/certificates/done/1", "", 404, refusal("CertificateNotFound", "A certificate with (name/id) done/1"+seeRecover, "")},
		{"GET", "/deletedcertificates/done", "", 404, refusal("CertificateNotFound", "Deleted Certificate not found: done", "")},
		{"GET", "/deletedcertificates/none", "", 404, refusal("CertificateNotFound", "Deleted Certificate not found: none", "")},
		{"POST", "/deletedcertificates/none/recover", "", 404, refusal("CertificateNotFound", "A certificate with (name/id) none"+seeRecover, "")},
		{"DELETE", "/deletedcertificates/done", "", 404, refusal("CertificateNotFound", "Deleted Certificate not found: done", "")},

		{"GET", "/certificates/none/pending", "", 404, refusal("PendingCertificateNotFound", "Pending certificate not found: none", "")},
		{"GET", "/certificates/shell/pending", "", 404, refusal("PendingCertificateNotFound", "Pending certificate not found: shell", "")},
		{"GET", "/certificates/removed/pending", "", 404, refusal("PendingCertificateNotFound", "Pending certificate not found: removed", "")},
		{"GET", "/certificates/manual/pending?request_id=" + absentVersion, "", 404, refusal("PendingCertificateNotFound", "Pending certificate not found: manual", "")},
		{"PATCH", "/certificates/manual/pending?request_id=" + absentVersion, `{"cancellation_requested":true}`, 404, refusal("PendingCertificateNotFound", "Pending certificate not found: manual", "")},
		{"DELETE", "/certificates/manual/pending?request_id=" + absentVersion, "", 404, refusal("PendingCertificateNotFound", "Pending Certificate not found: manual", "")},
		{"PATCH", "/certificates/none/pending", `{"cancellation_requested":true}`, 404, refusal("PendingCertificateNotFound", "Pending certificate not found: none", "")},
		{"DELETE", "/certificates/none/pending", "", 404, refusal("PendingCertificateNotFound", "Pending Certificate not found: none", "")},
		{"POST", "/certificates/none/pending/merge", `{"x5c":["` + otherLeaf + `"]}`, 404, refusal("PendingCertificateNotFound", "Pending Certificate not found: none", "")},
		{"POST", "/certificates/none/pending/merge", `{"x5c":["garbage"]}`, 404, refusal("PendingCertificateNotFound", "Pending Certificate not found: none", "")},
		{"POST", "/certificates/none/pending/merge", `{}`, 404, refusal("PendingCertificateNotFound", "Pending Certificate not found: none", "")},

		{"PATCH", "/certificates/none", `{}`, 404, refusal("CertificateNotFound", "A certificate with (name/id) none"+seeRecover, "")},
		{"PATCH", "/certificates/none/policy", `{}`, 404, refusal("CertificateNotFound", "A certificate with (name/id) none"+seeRecover, "")},
		{"PATCH", "/certificates/removed", `{}`, 404, refusal("CertificateNotFound", "A certificate with (name/id) removed"+seeRecover, "")},
		{"PATCH", "/certificates/done/" + absentVersion, `{}`, 404, refusal("CertificateNotFound", "A certificate with (name/id) done/"+absentVersion+seeRecover, "")},
		{"PATCH", "/certificates/done/1", `{}`, 404, refusal("CertificateNotFound", "A certificate with (name/id) done/1"+seeRecover, "")},
		{"GET", "/certificates/contacts", "", 404, refusal("ContactsNotFound", "Contacts not found", "")},
		{"DELETE", "/certificates/contacts", "", 404, refusal("ContactsNotFound", "Contacts not found", "")},

		{"GET", "/certificates/issuers/none", "", 404, refusal("CertificateIssuerNotFound", "Issuer not found", "")},
		{"PATCH", "/certificates/issuers/none", `{}`, 404, refusal("CertificateIssuerNotFound", "Issuer none not found", "")},
		{"DELETE", "/certificates/issuers/none", "", 404, refusal("CertificateIssuerNotFound", "Issuer not found", "")},

		{"POST", "/certificates/removed/create", policyOf("Self"), 409, refusal("Conflict", "Certificate removed"+deletedBut, "ObjectIsDeletedButRecoverable")},
		{"POST", "/certificates/manual/create", policyOf("Self"), 409, refusal("Forbidden", inProgress, "")},
		{"POST", "/certificates/held/create", policyOf("Self"), 409, refusal("Forbidden", inProgress, "")},
		{"POST", "/certificates/held/pending/merge", `{"x5c":["` + otherLeaf + `"]}`, 403, refusal("Forbidden", "Merge is forbidden on pending object created with issuer : myca while it is in progess.", "")},
		{"PATCH", "/certificates/done/pending", `{"cancellation_requested":true}`, 403, refusal("Forbidden", "Pending status must be in progress to allow update.", "")},
		{"PATCH", "/certificates/cancelled/pending", `{"cancellation_requested":true}`, 403, refusal("Forbidden", "Pending status must be in progress to allow update.", "")},

		{"PATCH", "/certificates/manual/pending", `{}`, 400, refusal("BadParameter", "Property cancellation_requested has invalid value: must be present", "")},
		{"PATCH", "/certificates/manual/pending", `{"cancellation_requested":null}`, 400, refusal("BadParameter", "Property cancellation_requested has invalid value: must be present", "")},
		{"PATCH", "/certificates/manual/pending", "", 400, refusal("BadParameter", "The request body is missing.", "")},
		{"POST", "/certificates/manual/pending/merge", `{"x5c":[]}`, 400, refusal("BadParameter", "Property x5c has invalid value X5C must has at least one valid item", "")},
		{"POST", "/certificates/manual/pending/merge", `{}`, 400, refusal("BadParameter", "Property x5c has invalid value X5C must has at least one valid item", "")},
		{"POST", "/certificates/manual/pending/merge", `{"x5c":["bm90IGEgY2VydGlmaWNhdGU="]}`, 400, refusal("BadParameter", "ASN1 bad tag value met.", "")},
		{"POST", "/certificates/new/create", "", 400, refusal("BadParameter", "The request body is missing.", "")},
		{"POST", "/certificates/new/create", `{"policy":{"x509_props":{"subject":"not a name"}}}`, 400, refusal("BadParameter", `Property policy.x509_props has invalid value. Invalid X.500 distinguished name\r\n`, "")},
		{"POST", "/certificates/new/create", `{"policy":{"x509_props":{"subject":"CN=a"}},"attributes":{"exp":253402300800}}`, 400, refusal("BadParameter", "Property attributes.exp has invalid value: must be a time in seconds since 1970-01-01", "")},
		{"POST", "/certificates/new/create", `{"policy":{"x509_props":{"subject":"CN=a"}},"attributes":{"nbf":-1}}`, 400, refusal("BadParameter", "Property attributes.nbf has invalid value: must be a time in seconds since 1970-01-01", "")},
		{"POST", "/certificates/new/create", policyOf("nobody"), 400, refusal("BadParameter", `Property policy.issuer.name has invalid value: \"nobody\": must be Self, Unknown or an issuer that was set in this vault`, "")},
		{"POST", "/certificates/new/create", `{"policy":{"x509_props":{"subject":"CN=a"}},"tags":{"":"a"}}`, 400, refusal("BadParameter", `Property tags has invalid value: \"\": must be a name of 1 to 256 characters with a value of at most 256`, "")},
		{"POST", "/certificates/new/create", `{"tags":{"a":"b"}}`, 400, refusal("BadParameter", "Property policy has invalid value: must be present to create the first version of a certificate", "")},
		{"PUT", "/certificates/issuers/myca", `{"provider":"Other"}`, 400, refusal("BadParameter", `Property provider has invalid value: \"Other\": must be a provider of this vault, which has test`, "")},
		{"PATCH", "/certificates/issuers/myca", `{"org_details":{"id":"` + strings.Repeat("a", 1025) + `"}}`, 400, refusal("BadParameter", "Property org_details.id has invalid value: a text of 1025 bytes: must be at most 1024", "")},
		{"PATCH", "/certificates/issuers/myca", `{"org_details":{"admin_details":[{"phone":"` + strings.Repeat("1", 1025) + `"}]}}`, 400, refusal("BadParameter", "Property org_details.admin_details has invalid value: a text of 1025 bytes: must be at most 1024", "")},
		{"PATCH", "/certificates/done", `{"attributes":{"nbf":-1}}`, 400, refusal("BadParameter", "Property attributes.nbf has invalid value: must be a time in seconds since 1970-01-01", "")},
		{"PATCH", "/certificates/done", `{"policy":{"key_props":{"kty":"oct"}}}`, 400, refusal("BadParameter", `Property policy.key_props.kty has invalid value: \"oct\": must be RSA, RSA-HSM, EC or EC-HSM`, "")},
		{"PATCH", "/certificates/done/policy", `{"secret_props":{"contentType":"text/plain"}}`, 400, refusal("BadParameter", `Property policy.secret_props.contentType has invalid value: \"text/plain\": must be application/x-pkcs12 or application/x-pem-file`, "")},

		{"POST", "/certificates/removed/import", importOf(good.pem(t)), 409, refusal("Conflict", "Certificate removed"+deletedBut, "ObjectIsDeletedButRecoverable")},
		{"POST", "/certificates/manual/import", importOf(good.pem(t)), 409, refusal("Forbidden", inProgress, "")},
		{"POST", "/certificates/new/import", `{}`, 400, refusal("BadParameter", "Property value has invalid value: must be present", "")},
		{"POST", "/certificates/new/import", importOf("AAAA"), 400, refusal("BadParameter", "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format. The PKCS #12 file cannot be read: a tag is not one that these formats use.", "")},
		{"POST", "/certificates/new/import", importOf("-----BEGIN CERTIFICATE-----\nAAAA"), 400, refusal("BadParameter", "The specified PEM X.509 certificate content is in an unexpected format. Please check if certificate is in valid PEM format. PEM block 1 CERTIFICATE, line 1: its END line is missing.", "")},
		{"POST", "/certificates/new/import", importOf(good.pem(t)[strings.Index(good.pem(t), "-----BEGIN CERT"):]), 400, refusal("BadParameter", "No certificate with private key found in the specified X.509 certificate content. Please specify X.509 certificate content with only one certificate containing private key.", "")},
		{"POST", "/certificates/new/import", importOf(strings.Repeat("A", 1<<20+1)), 400, refusal("BadParameter", "The size of the X.509 certificate is too long.", "")},
		{"POST", "/certificates/new/import", importOf(newPair(t, s.clock.Now().AddDate(-2, 0, 0)).pem(t)), 400, refusal("BadParameter", "The specified X.509 certificate content is invalid. Error: One or more X.509 properties are invalid. The certificate expired at 2025-03-01T12:00:10Z.", "")},

		{"POST", "/certificates/none/backup", "", 404, refusal("CertificateNotFound", "A certificate with (name/id) none"+seeRecover, "")},
		{"POST", "/certificates/restore", `{}`, 400, refusal("Malformed backup blob", "Backup blob is corrupt.", "")},
		{"POST", "/certificates/restore", `{"value":"!"}`, 400, refusal("Malformed backup blob", "Backup blob is corrupt.", "")},
		{"POST", "/certificates/restore", `{"value":"` + strings.Repeat("AAAA", 4728/3) + `"}`, 400, refusal("Malformed backup blob", "Backup blob contains invalid or corrupt version.", "")}, // JavaScript's test
		{"POST", "/certificates/restore", ofDone, 409, refusal("Conflict", "There was a conflict restoring the certificate '"+testURL+"/certificates/done/"+doneVersion+"'. This can happen if either: a second certificate with the same name was created after the first certificate was deleted; thus trying to restore a certificate whose name is already in use. To fix this, rename the second certificate to something else so that the restore works. The second probable cause of this exception is when multiple operations are performed in parallel against the certificate. To avoid this error, perform operations against a certificate in a sequential manner.", "")},
		{"POST", "/certificates/restore", ofRemoved, 409, refusal("Conflict", "Certificate twice"+deletedBut, "ObjectIsDeletedButRecoverable")},

		{"GET", "/secrets/none", "", 404, refusal("SecretNotFound", "A secret with (name/id) none"+strings.Replace(seeRecover, "certificate", "secret", 1), "")},
		{"GET", "/secrets/done/" + absentVersion, "", 404, refusal("SecretNotFound", "A secret with (name/id) done/"+absentVersion+strings.Replace(seeRecover, "certificate", "secret", 1), "")},
		{"GET", "/secrets/done/1", "", 404, refusal("SecretNotFound", "A secret with (name/id) done/1"+strings.Replace(seeRecover, "certificate", "secret", 1), "")},
		{"GET", "/secrets/done?outContentType=text/plain", "", 400, refusal("BadParameter", `Property outContentType has invalid value: \"text/plain\": must be application/x-pkcs12 or application/x-pem-file`, "")},
		{"DELETE", "/secrets/none", "", 404, refusal("SecretNotFound", "A secret with (name/id) none"+strings.Replace(seeRecover, "certificate", "secret", 1), "")},
		{"PUT", "/secrets/none", `{"value":"x"}`, 403, refusal("Forbidden", `Operation \"set\" is not allowed, since this vault has only the secrets of its certificates. Create or import a certificate instead.`, "")},
		{"POST", "/secrets/restore", `{"value":"x"}`, 403, refusal("Forbidden", `Operation \"restore\" is not allowed, since this vault has only the secrets of its certificates. Create or import a certificate instead.`, "")},
		{"PUT", "/secrets/done", `{"value":"x"}`, 403, refusal("Forbidden", `Operation \"set\" is not allowed on this secret`+seeCertificate, "SecretManagedByKeyVault")},
		{"POST", "/secrets/manual/backup", "", 403, refusal("Forbidden", `Operation \"backup\" is not allowed on this secret`+seeCertificate, "SecretManagedByKeyVault")},
		{"POST", "/keys/none/create", `{"kty":"RSA"}`, 403, refusal("Forbidden", `Operation \"create\" is not allowed, since this vault has only the keys of its certificates. Create or import a certificate instead.`, "")},
		{"POST", "/keys/done/create", `{"kty":"RSA"}`, 403, refusal("Forbidden", `Operation \"create\" is not allowed on this key`+seeCertificate, "KeyManagedByKeyVault")},
		{"GET", "/keys/none", "", 404, refusal("KeyNotFound", "A key with (name/id) none"+strings.Replace(seeRecover, "certificate", "key", 1), "")},
		{"POST", "/keys/none/sign", `{"alg":"RS256","value":"AAAA"}`, 404, refusal("KeyNotFound", "A key with (name/id) none"+strings.Replace(seeRecover, "certificate", "key", 1), "")},
		{"POST", "/keys/done/1/sign", `{"alg":"RS256","value":"AAAA"}`, 404, refusal("KeyNotFound", "A key with (name/id) done/1"+strings.Replace(seeRecover, "certificate", "key", 1), "")},
		{"POST", "/keys/done/sign", `{"alg":"RS256","value":"AAAA"}`, 400, refusal("BadParameter", "Invalid length of 'value': 3 bytes. RS256 requires 32 bytes, encoded with base64url.", "")},
		{"POST", "/keys/done/sign", `{"alg":"RS256","value":"!"}`, 400, refusal("BadParameter", "Property value has invalid value: must be base64url", "")},
		{"POST", "/keys/done/sign", `{"alg":"ES256","value":"AAAA"}`, 400, refusal("BadParameter", `Property alg has invalid value: \"ES256\": must be an algorithm for a key of type RSA`, "")},
		{"POST", "/keys/done/verify", `{"alg":"RS256","digest":"!","value":"AAAA"}`, 400, refusal("BadParameter", "Property digest has invalid value: must be base64url", "")},
		{"POST", "/keys/done/verify", `{"alg":"RS256","digest":"AAAA","value":"!"}`, 400, refusal("BadParameter", "Property value has invalid value: must be base64url", "")},
		{"POST", "/keys/encipher/sign", `{"alg":"RS256","value":"AAAA"}`, 403, refusal("Forbidden", "Operation sign is not permitted on this key.", "KeyOperationForbidden")},
		{"POST", "/keys/future/sign", `{"alg":"ES256","value":"` + urlBase64(make([]byte, 32)) + `"}`, 403, refusal("Forbidden", "Operation sign is not allowed on a key that is not yet valid.", "KeyNotYetValid")},
		{"POST", "/keys/disabled/sign", `{"alg":"ES256","value":"AAAA"}`, 403, refusal("Forbidden", "Operation sign is not allowed on a disabled key.", "KeyDisabled")},

		{"POST", "/certificates/new/create", `{"policy":{"x509_props":{"subject":"CN=a"},"platform_managed":{"certificate_usage":"x"}}}`, 400, refusal("BadParameter", "Property policy.platform_managed has invalid value: this vault has no certificates that the platform manages; leave it out", "")},
		{"PATCH", "/certificates/done/policy", `{"platform_managed":{}}`, 400, refusal("BadParameter", "Property policy.platform_managed has invalid value: this vault has no certificates that the platform manages; leave it out", "")},
		{"PUT", "/certificates/contacts", `{"contacts":[{"name":"a"}]}`, 400, refusal("BadParameter", "Property contacts.email has invalid value: must be present", "")},
		{"PUT", "/certificates/issuers/myca", `{}`, 400, refusal("BadParameter", "Property provider has invalid value: must be present", "")},
	} {
		target := tt.path + v74
		if strings.Contains(tt.path, "?") {
			target = tt.path + "&" + v74[1:]
		}
		if a := s.do(tt.method, target, tt.body); a.status != tt.status || a.body != tt.want {
			t.Errorf("%s %s %s:\n got %d %s\nwant %d %s", tt.method, tt.path, tt.body, a.status, a.body, tt.status, tt.want)
		}
	}

	a := s.do("POST", "/certificates/manual/pending/merge"+v74, `{"x5c":["`+otherLeaf+`"]}`)
	mismatch := `{"error":{"code":"BadParameter","message":"The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.`
	if a.status != http.StatusBadRequest || !strings.HasPrefix(a.body, mismatch) {
		t.Errorf("merge of another key's certificate: got %d %s, want 400 %s...", a.status, a.body, mismatch)
	}
}

// Every reason has a place on the wire, and only the foreseen ones tell the
// client more than that something failed.
func TestAsFailure(t *testing.T) {
	t.Parallel()
	cause := errors.New("inside information")
	last := vault.Reason(0)
	for r := vault.CertificateNotFound; isReason(r); r++ {
		last = r
		f := asFailure(fmt.Errorf("doing it: %w", &vault.Error{Reason: r, Name: "n", Issuer: "i", Detail: "d", Err: cause}), conflictOf(t, "DeleteCertificateOperation"))
		if f.status == http.StatusInternalServerError || strings.ContainsAny(f.message, "{}") || strings.Contains(f.message, "inside") {
			t.Errorf("reason %d: got %v", r, f)
		}
		if !errors.Is(f, cause) {
			t.Errorf("reason %d: the cause is lost for the log", r)
		}
	}
	if last < vault.Unavailable {
		t.Fatalf("the last reason is %d, less than %d", last, vault.Unavailable)
	}
	for _, err := range []error{cause, &vault.Error{Reason: last + 1, Err: cause}, store.ErrNotFound} {
		if f := asFailure(err, never); f.status != http.StatusInternalServerError || strings.Contains(f.message, "inside") || !errors.Is(f, err) {
			t.Errorf("error %v: got %v with cause %v, want a general 500", err, f, f.cause)
		}
	}
	if f := asFailure(fmt.Errorf("doing it: %w", &field.Error{Field: "tags", Detail: "d", Err: cause}), never); f.Error() != "400 BadParameter: Property tags has invalid value: d" || !errors.Is(f, cause) {
		t.Errorf("a field's error: got %v with cause %v", f, f.cause)
	}
	got := asFailure(&vault.Error{Reason: vault.BeingDeleted, Name: "n"}, conflictOf(t, "CreateCertificate"))
	if want := "409 Conflict: Certificate n is currently being deleted and cannot be re-created; retry later."; got.Error() != want || got.inner != "ObjectIsBeingDeleted" {
		t.Errorf("got %q, inner %q, want %q", got, got.inner, want)
	}
	got = asFailure(&vault.Error{Reason: vault.ConcurrentChange, Name: "n"}, conflictOf(t, "DeleteCertificateOperation"))
	if want := "409 Conflict: There was a conflict while deleting the pending certificate 'n'. This can happen when multiple operations are performed in parallel against the pending certificate. To avoid this error, perform operations against the pending certificate in a sequential manner."; got.Error() != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// conflictOf is the words of the route of this name.
func conflictOf(t *testing.T, name string) conflict {
	t.Helper()
	i := slices.IndexFunc(routes, func(r route) bool { return r.name == name })
	if i < 0 {
		t.Fatalf("there is not a route %s", name)
	}
	return routes[i].conflict
}

// isReason reports whether there is such a reason: those that there are have a
// text of their own.
func isReason(r vault.Reason) bool {
	none := &vault.Error{Name: "n"}
	return (&vault.Error{Reason: r, Name: "n"}).Error() != none.Error()
}

func TestLongMessageIsCut(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	a := s.do("POST", "/certificates/"+strings.Repeat("%C3%A4", 1200)+"/create"+v74, "")
	if message := a.field(t, "error.message").(string); a.status != http.StatusBadRequest || len(message) > maxMessage+3 || len(message) < maxMessage {
		t.Errorf("got %d with a message of %d bytes, want at most about %d", a.status, len(message), maxMessage)
	}
	a = s.do("GET", "/certificates/"+strings.Repeat("a", maxURI)+v74, "")
	if want := refusal("BadParameter", "The request URI is longer than 8192 bytes.", ""); a.status != http.StatusBadRequest || a.body != want {
		t.Errorf("got %d %s, want 400 %s", a.status, a.body, want)
	}
}

// failing is a store that answers every read with this error.
type failing struct {
	store.Store
	err error
}

func (f failing) Get(context.Context, string) (store.Row, error) { return store.Row{}, f.err }

func failsWith(err error) func(*memory.Store) store.Store {
	return func(m *memory.Store) store.Store { return failing{m, err} }
}

// A failure that the request did not cause says when to send it again.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	cause := errors.New("storage.internal answered 503")
	unavailable := refusal("ServiceUnavailable", "The service is temporarily unavailable. Please retry the request.", "")
	throttled := refusal("Throttled", "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached", "")
	for name, tt := range map[string]struct {
		opts       options
		status     int
		want       string
		retryAfter string
		level      string
	}{
		"storage is away":      {options{store: failsWith(fmt.Errorf("%w: %w", store.ErrUnavailable, cause))}, 503, unavailable, "2", "ERROR"},
		"storage throttles":    {options{store: failsWith(fmt.Errorf("%w: %w", store.ErrThrottled, cause))}, 429, throttled, "5", "INFO"},
		"an operator must act": {options{store: failsWith(&store.NotReadyError{Advice: "Run handler migrate.", Err: cause})}, 503, refusal("ServiceUnavailable", "Run handler migrate.", ""), "2", "ERROR"},
		"token keys are away":  {options{noKeys: true}, 503, unavailable, "2", "ERROR"},
	} {
		s := newService(t, tt.opts)
		a := s.do("GET", "/certificates/a"+v74, "")
		if a.status != tt.status || a.body != tt.want || a.header.Get("Retry-After") != tt.retryAfter {
			t.Errorf("%s: got %d %s, Retry-After %q, want %d %s", name, a.status, a.body, a.header.Get("Retry-After"), tt.status, tt.want)
		}
		line := s.log.lines(t)[0]
		if line["level"] != tt.level || line["error"] == nil {
			t.Errorf("%s: log %v, want it at level %s with its cause", name, line, tt.level)
		}
	}
}

// stubborn is a store that, once told to, keeps blobs and lets no change through
// because others are always faster.
type stubborn struct {
	store.Store
	keepBlobs, contend *atomic.Bool
}

func (s stubborn) DeleteBlob(ctx context.Context, name string) error {
	if s.keepBlobs.Load() {
		return store.ErrUnavailable
	}
	return s.Store.DeleteBlob(ctx, name)
}

func (s stubborn) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	if s.contend.Load() {
		return "", &store.ConflictError{Key: tx.Actions[0].Row.Key}
	}
	return s.Store.Commit(ctx, tx)
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	var keepBlobs, contend atomic.Bool
	s := newService(t, options{store: func(m *memory.Store) store.Store { return stubborn{m, &keepBlobs, &contend} }})
	s.complete("purging")
	s.complete("a")
	s.complete("removed")
	s.script("myca", "hold")
	s.must("DELETE", "/certificates/removed"+v74, "")

	// A purge has begun and cannot be finished.
	keepBlobs.Store(true)
	s.must("DELETE", "/certificates/purging"+v74, "")
	s.must("DELETE", "/deletedcertificates/purging"+v74, "")
	a := s.do("POST", "/certificates/purging/create"+v74, policyOf("Self"))
	if want := refusal("Conflict", "Certificate purging is currently being deleted and cannot be re-created; retry later.", "ObjectIsBeingDeleted"); a.status != http.StatusConflict || a.body != want {
		t.Errorf("create: got %d %s, want 409 %s", a.status, a.body, want)
	}

	contend.Store(true)
	for _, tt := range []struct{ method, path, body, doing, object, name string }{
		{"POST", "/certificates/new/create", policyOf("Self"), "creating", "certificate", "new"},
		{"DELETE", "/certificates/a/pending", "", "deleting", "pending certificate", "a"},
		{"PATCH", "/certificates/a", `{}`, "updating", "certificate", "a"},
		{"PATCH", "/certificates/a/policy", `{}`, "updating", "certificate", "a"},
		{"DELETE", "/certificates/a", "", "deleting", "certificate", "a"},
		{"POST", "/deletedcertificates/removed/recover", "", "recovering", "soft-deleted certificate", "removed"},
		{"DELETE", "/deletedcertificates/removed", "", "purging", "soft-deleted certificate", "removed"},
	} {
		a := s.do(tt.method, tt.path+v74, tt.body)
		want := refusal("Conflict", "There was a conflict while "+tt.doing+" the "+tt.object+" '"+tt.name+"'. This can happen when multiple operations are performed in parallel against the "+tt.object+
			". To avoid this error, perform operations against the "+tt.object+" in a sequential manner.", "")
		if a.status != http.StatusConflict || a.body != want {
			t.Errorf("%s %s: got %d %s, want 409 %s", tt.method, tt.path, a.status, a.body, want)
		}
	}
}

// A panic is one request's failure. The cause is in the log, with the request
// id that the client was told, and the server goes on.
func TestPanic(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	broken.Store(true)
	s := newService(t, options{newKey: func(p policy.KeyProperties) (crypto.Signer, error) {
		if broken.Load() {
			panic("key ceremony went wrong")
		}
		return pooledKey(p)
	}})
	a := s.do("POST", "/certificates/a/create"+v74, policyOf("Self"))
	want := refusal("InternalServerError", "An internal error occurred. Use the x-ms-request-id of this answer to find it in the log.", "")
	if a.status != http.StatusInternalServerError || a.body != want {
		t.Errorf("got %d %s, want 500 %s", a.status, a.body, want)
	}
	lines := s.log.lines(t)
	if len(lines) != 1 || lines[0]["request_id"] != a.header.Get("x-ms-request-id") || !strings.Contains(fmt.Sprint(lines[0]["error"]), "panic: key ceremony went wrong\ngoroutine") {
		t.Errorf("log %v, want one line for request %s with the panic and its stack", lines, a.header.Get("x-ms-request-id"))
	}
	broken.Store(false)
	s.create("a", "Self")
}

// otherCSR is a CSR for a key that no operation has.
func otherCSR(t testing.TB) string {
	t.Helper()
	key, err := policy.GenerateKey(policy.KeyProperties{Type: policy.KeyEC, Size: 256, Curve: "P-256"})
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(newCSR(t, key))
}
