package kvhttp

import (
	"context"
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/internal/auth"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// route is one operation of the API, under its name on the REST pages.
type route struct {
	name       string
	method     string
	path       string
	permission auth.Permission
	body       int64 // largest body in bytes; 0: the body is not read
	conflict   conflict
	handle     func(context.Context, *call) (reply, error)
}

// conflict says what a route that changes something does to what, for the message
// of [vault.ConcurrentChange].
type conflict struct{ doing, object string }

// never is of routes whose changes, if any, cannot meet others.
var never conflict

// Largest bodies, in bytes.
const (
	maxBody   = 256 << 10 // far more than any policy or chain needs
	maxImport = 2 << 20   // the largest value, PEM with its line ends escaped, and a policy
	maxBackup = 32 << 20  // the largest backup
)

// routes is the whole API: Key Vault's, and what is ours
// (operations, events, revoke). Of the paths that fit a request the first one counts,
// so literals stand before parameters. Who may read a secret or key may be told
// that it cannot be changed.
var routes = []route{
	{"GetCertificates", "GET", "certificates", auth.CertificatesList, 0, never, listCertificates},

	{"GetCertificateIssuers", "GET", "certificates/issuers", auth.CertificatesListIssuers, 0, never, listIssuers},
	{"GetCertificateIssuer", "GET", "certificates/issuers/{issuer}", auth.CertificatesGetIssuers, 0, never, getIssuer},
	{"SetCertificateIssuer", "PUT", "certificates/issuers/{issuer}", auth.CertificatesSetIssuers, maxBody, conflict{"setting", "certificate issuer"}, setIssuer},
	{"UpdateCertificateIssuer", "PATCH", "certificates/issuers/{issuer}", auth.CertificatesSetIssuers, maxBody, conflict{"updating", "certificate issuer"}, updateIssuer},
	{"DeleteCertificateIssuer", "DELETE", "certificates/issuers/{issuer}", auth.CertificatesDeleteIssuers, 0, conflict{"deleting", "certificate issuer"}, deleteIssuer},

	{"GetCertificateContacts", "GET", "certificates/contacts", auth.CertificatesManageContacts, 0, never, getContacts},
	{"SetCertificateContacts", "PUT", "certificates/contacts", auth.CertificatesManageContacts, maxBody, never, setContacts},
	{"DeleteCertificateContacts", "DELETE", "certificates/contacts", auth.CertificatesManageContacts, 0, never, deleteContacts},

	{"RestoreCertificate", "POST", "certificates/restore", auth.CertificatesRestore, maxBackup, conflict{"restoring", "certificate"}, restoreCertificate},

	{"CreateCertificate", "POST", "certificates/{name}/create", auth.CertificatesCreate, maxBody, conflict{"creating", "certificate"}, createCertificate},
	{"ImportCertificate", "POST", "certificates/{name}/import", auth.CertificatesImport, maxImport, conflict{"importing", "certificate"}, importCertificate},
	{"GetCertificateOperation", "GET", "certificates/{name}/pending", auth.CertificatesGet, 0, never, getOperation},
	{"UpdateCertificateOperation", "PATCH", "certificates/{name}/pending", auth.CertificatesUpdate, maxBody, conflict{"updating", "pending certificate"}, updateOperation},
	{"DeleteCertificateOperation", "DELETE", "certificates/{name}/pending", auth.CertificatesUpdate, 0, conflict{"deleting", "pending certificate"}, deleteOperation},
	{"MergeCertificate", "POST", "certificates/{name}/pending/merge", auth.CertificatesCreate, maxBody, conflict{"merging", "pending certificate"}, mergeCertificate},

	{"GetCertificatePolicy", "GET", "certificates/{name}/policy", auth.CertificatesGet, 0, never, getPolicy},
	{"UpdateCertificatePolicy", "PATCH", "certificates/{name}/policy", auth.CertificatesUpdate, maxBody, conflict{"updating", "certificate"}, updatePolicy},
	{"BackupCertificate", "POST", "certificates/{name}/backup", auth.CertificatesBackup, 0, conflict{"backing up", "certificate"}, backupCertificate},
	{"GetCertificateVersions", "GET", "certificates/{name}/versions", auth.CertificatesList, 0, never, listVersions},
	{"GetCertificate", "GET", "certificates/{name}", auth.CertificatesGet, 0, never, getCertificate},
	{"UpdateCertificate", "PATCH", "certificates/{name}", auth.CertificatesUpdate, maxBody, conflict{"updating", "certificate"}, updateCertificate},
	{"DeleteCertificate", "DELETE", "certificates/{name}", auth.CertificatesDelete, 0, conflict{"deleting", "certificate"}, deleteCertificate},
	{"GetCertificateVersion", "GET", "certificates/{name}/{version}", auth.CertificatesGet, 0, never, getVersion},
	{"UpdateCertificateVersion", "PATCH", "certificates/{name}/{version}", auth.CertificatesUpdate, maxBody, conflict{"updating", "certificate"}, updateCertificate},
	{"GetCertificateRevocation", "GET", "certificates/{name}/{version}/revoke", auth.CertificatesGet, 0, never, getRevocation},
	{"RevokeCertificate", "POST", "certificates/{name}/{version}/revoke", auth.CertificatesRevoke, maxBody, conflict{"revoking", "certificate"}, revokeCertificate},

	{"GetDeletedCertificates", "GET", "deletedcertificates", auth.CertificatesList, 0, never, listDeleted},
	{"RecoverDeletedCertificate", "POST", "deletedcertificates/{name}/recover", auth.CertificatesRecover, 0, conflict{"recovering", "soft-deleted certificate"}, recoverDeleted},
	{"GetDeletedCertificate", "GET", "deletedcertificates/{name}", auth.CertificatesGet, 0, never, getDeleted},
	{"PurgeDeletedCertificate", "DELETE", "deletedcertificates/{name}", auth.CertificatesPurge, 0, conflict{"purging", "soft-deleted certificate"}, purgeDeleted},

	{"GetOperations", "GET", "operations", auth.CertificatesUpdate, 0, never, listOperations},
	{"GetOperationIssuers", "GET", "operations/issuers", auth.CertificatesListIssuers, 0, never, listIssuerStates},
	{"PauseIssuer", "POST", "operations/issuers/{issuer}/pause", auth.CertificatesSetIssuers, maxBody, conflict{"pausing", "certificate issuer"}, pauseIssuer},
	{"ResumeIssuer", "POST", "operations/issuers/{issuer}/resume", auth.CertificatesSetIssuers, 0, conflict{"resuming", "certificate issuer"}, resumeIssuer},
	{"ReplaceIssuerAccount", "POST", "operations/issuers/{issuer}/replace-account", auth.CertificatesSetIssuers, 0, conflict{"replacing the account of", "certificate issuer"}, replaceAccount},
	{"GetUnreadableRows", "GET", "operations/storage/unreadable", auth.CertificatesUpdate, 0, never, listUnreadable},
	{"AdoptRow", "POST", "operations/storage/adopt", auth.CertificatesSetIssuers, maxBody, conflict{"adopting", "row"}, adoptRow},
	{"GetMigration", "GET", "operations/storage/migration", auth.CertificatesUpdate, 0, never, getMigration},
	{"FinishMigration", "POST", "operations/storage/migration/finish", auth.CertificatesSetIssuers, 0, conflict{"finishing", "migration"}, finishMigration},
	{"GetOperation", "GET", "operations/{name}", auth.CertificatesUpdate, 0, never, getBoardEntry},
	{"ForgetOperation", "DELETE", "operations/{name}", auth.CertificatesUpdate, 0, conflict{"forgetting", "release"}, forgetOperation},
	{"AdvanceOperation", "POST", "operations/{name}/advance", auth.CertificatesUpdate, 0, conflict{"advancing", "pending certificate"}, advanceOperation},
	{"RetryOperation", "POST", "operations/{name}/retry", auth.CertificatesCreate, 0, conflict{"retrying", "pending certificate"}, retryOperation},
	{"GiveUpOperation", "POST", "operations/{name}/give-up", auth.CertificatesUpdate, 0, conflict{"giving up", "pending certificate"}, giveUpOperation},

	{"GetUndeliveredEvents", "GET", "events", auth.CertificatesUpdate, 0, never, listUndelivered},
	{"RetryEvent", "POST", "events/{event}/{destination}/retry", auth.CertificatesUpdate, 0, conflict{"retrying", "event"}, retryEvent},

	{"GetSecrets", "GET", "secrets", auth.SecretsList, 0, never, listSecrets},
	{"RestoreSecret", "POST", "secrets/restore", auth.SecretsGet, 0, never, backingSecret.refuseRestore},
	{"GetSecretVersions", "GET", "secrets/{name}/versions", auth.SecretsList, 0, never, listSecretVersions},
	{"BackupSecret", "POST", "secrets/{name}/backup", auth.SecretsGet, 0, never, backingSecret.refuse("backup")},
	{"GetSecret", "GET", "secrets/{name}", auth.SecretsGet, 0, never, getSecret},
	{"SetSecret", "PUT", "secrets/{name}", auth.SecretsGet, 0, never, backingSecret.refuseNew("set")},
	{"UpdateSecret", "PATCH", "secrets/{name}", auth.SecretsGet, 0, never, backingSecret.refuse("update")},
	{"DeleteSecret", "DELETE", "secrets/{name}", auth.SecretsGet, 0, never, backingSecret.refuse("delete")},
	{"GetSecretVersion", "GET", "secrets/{name}/{version}", auth.SecretsGet, 0, never, getSecret},
	{"UpdateSecretVersion", "PATCH", "secrets/{name}/{version}", auth.SecretsGet, 0, never, backingSecret.refuse("update")},

	{"GetDeletedSecrets", "GET", "deletedsecrets", auth.SecretsList, 0, never, listNoneDeleted},
	{"RecoverDeletedSecret", "POST", "deletedsecrets/{name}/recover", auth.SecretsGet, 0, never, backingSecret.refuseDeleted("recover")},
	{"GetDeletedSecret", "GET", "deletedsecrets/{name}", auth.SecretsGet, 0, never, getDeletedSecret},
	{"PurgeDeletedSecret", "DELETE", "deletedsecrets/{name}", auth.SecretsGet, 0, never, backingSecret.refuseDeleted("purge")},

	{"GetKeys", "GET", "keys", auth.KeysList, 0, never, listKeys},
	{"RestoreKey", "POST", "keys/restore", auth.KeysGet, 0, never, backingKey.refuseRestore},
	{"CreateKey", "POST", "keys/{name}/create", auth.KeysGet, 0, never, backingKey.refuseNew("create")},
	{"GetKeyVersions", "GET", "keys/{name}/versions", auth.KeysList, 0, never, listKeyVersions},
	{"BackupKey", "POST", "keys/{name}/backup", auth.KeysGet, 0, never, backingKey.refuse("backup")},
	{"Sign", "POST", "keys/{name}/sign", auth.KeysSign, maxBody, never, sign},
	{"Verify", "POST", "keys/{name}/verify", auth.KeysVerify, maxBody, never, verify},
	{"Encrypt", "POST", "keys/{name}/encrypt", auth.KeysEncrypt, maxBody, never, encrypt(policy.KeyEncrypt)},
	{"Decrypt", "POST", "keys/{name}/decrypt", auth.KeysDecrypt, maxBody, never, decrypt(policy.KeyDecrypt)},
	{"WrapKey", "POST", "keys/{name}/wrapkey", auth.KeysWrapKey, maxBody, never, encrypt(policy.KeyWrapKey)},
	{"UnwrapKey", "POST", "keys/{name}/unwrapkey", auth.KeysUnwrapKey, maxBody, never, decrypt(policy.KeyUnwrapKey)},
	{"GetKey", "GET", "keys/{name}", auth.KeysGet, 0, never, getKey},
	{"ImportKey", "PUT", "keys/{name}", auth.KeysGet, 0, never, backingKey.refuseNew("import")},
	{"UpdateKey", "PATCH", "keys/{name}", auth.KeysGet, 0, never, backingKey.refuse("update")},
	{"DeleteKey", "DELETE", "keys/{name}", auth.KeysGet, 0, never, backingKey.refuse("delete")},
	{"SignWithVersion", "POST", "keys/{name}/{version}/sign", auth.KeysSign, maxBody, never, sign},
	{"VerifyWithVersion", "POST", "keys/{name}/{version}/verify", auth.KeysVerify, maxBody, never, verify},
	{"EncryptWithVersion", "POST", "keys/{name}/{version}/encrypt", auth.KeysEncrypt, maxBody, never, encrypt(policy.KeyEncrypt)},
	{"DecryptWithVersion", "POST", "keys/{name}/{version}/decrypt", auth.KeysDecrypt, maxBody, never, decrypt(policy.KeyDecrypt)},
	{"WrapKeyWithVersion", "POST", "keys/{name}/{version}/wrapkey", auth.KeysWrapKey, maxBody, never, encrypt(policy.KeyWrapKey)},
	{"UnwrapKeyWithVersion", "POST", "keys/{name}/{version}/unwrapkey", auth.KeysUnwrapKey, maxBody, never, decrypt(policy.KeyUnwrapKey)},
	{"GetKeyVersion", "GET", "keys/{name}/{version}", auth.KeysGet, 0, never, getKey},
	{"UpdateKeyVersion", "PATCH", "keys/{name}/{version}", auth.KeysGet, 0, never, backingKey.refuse("update")},

	{"GetDeletedKeys", "GET", "deletedkeys", auth.KeysList, 0, never, listNoneDeleted},
	{"RecoverDeletedKey", "POST", "deletedkeys/{name}/recover", auth.KeysGet, 0, never, backingKey.refuseDeleted("recover")},
	{"GetDeletedKey", "GET", "deletedkeys/{name}", auth.KeysGet, 0, never, getDeletedKey},
	{"PurgeDeletedKey", "DELETE", "deletedkeys/{name}", auth.KeysGet, 0, never, backingKey.refuseDeleted("purge")},
}

// notNames are literals that stand where a name would: what this service does
// not have under them is not there, rather than a certificate of that name.
var notNames = []string{"contacts", "issuers", "restore"}

// params are the values of a path's parameters, by name in braces.
type params map[string]string

// findRoute finds the route of a request and the values of its parameters.
func findRoute(method string, path []string) (*route, params, error) {
	first := slices.IndexFunc(routes, func(r route) bool { return r.fits(path) })
	if first < 0 {
		return nil, nil, errUnknownPath
	}
	var allow []string
	for i := first; i < len(routes) && routes[i].path == routes[first].path; i++ {
		if routes[i].method == method {
			return &routes[i], routes[i].params(path), nil
		}
		allow = append(allow, routes[i].method)
	}
	return nil, nil, methodNotAllowed(method, allow)
}

// fits reports whether the route has a path of these segments. Like the live
// service and the Functions host it takes literals in any case.
func (r *route) fits(path []string) bool {
	i := 0
	for want := range strings.SplitSeq(r.path, "/") {
		switch {
		case i == len(path):
			return false
		case want == "{name}":
			if slices.ContainsFunc(notNames, func(s string) bool { return strings.EqualFold(s, path[i]) }) {
				return false
			}
		case want[0] != '{' && !strings.EqualFold(want, path[i]):
			return false
		}
		i++
	}
	return i == len(path)
}

func (r *route) params(path []string) params {
	found := make(params)
	for i, want := range strings.Split(r.path, "/") {
		if want[0] == '{' {
			found[want] = path[i]
		}
	}
	return found
}

// object is the name of the certificate or issuer that the path is about; the
// zero Name where it is about a collection.
func (p params) object() (vault.Name, error) {
	if s, ok := p["{issuer}"]; ok {
		return vault.ParseIssuerName(s)
	}
	if s, ok := p["{name}"]; ok {
		return vault.ParseName(s)
	}
	return vault.Name{}, nil
}
