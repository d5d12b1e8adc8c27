package auth

import (
	"fmt"
	"slices"
	"strings"
)

// A Permission is a right on one of the vault's collections, written
// "collection/operation" with the names of Key Vault's access policies
// (https://learn.microsoft.com/azure/key-vault/general/assign-access-policy).
type Permission string

// The permissions that there are. ManageIssuers includes the four other
// permissions on issuers.
const (
	CertificatesGet            Permission = "certificates/get"
	CertificatesList           Permission = "certificates/list"
	CertificatesUpdate         Permission = "certificates/update"
	CertificatesCreate         Permission = "certificates/create"
	CertificatesImport         Permission = "certificates/import"
	CertificatesDelete         Permission = "certificates/delete"
	CertificatesRecover        Permission = "certificates/recover"
	CertificatesBackup         Permission = "certificates/backup"
	CertificatesRestore        Permission = "certificates/restore"
	CertificatesPurge          Permission = "certificates/purge"
	CertificatesRevoke         Permission = "certificates/revoke" // ours: Key Vault does not revoke
	CertificatesManageContacts Permission = "certificates/managecontacts"
	CertificatesManageIssuers  Permission = "certificates/manageissuers"
	CertificatesGetIssuers     Permission = "certificates/getissuers"
	CertificatesListIssuers    Permission = "certificates/listissuers"
	CertificatesSetIssuers     Permission = "certificates/setissuers"
	CertificatesDeleteIssuers  Permission = "certificates/deleteissuers"

	SecretsGet  Permission = "secrets/get"
	SecretsList Permission = "secrets/list"

	KeysGet       Permission = "keys/get"
	KeysList      Permission = "keys/list"
	KeysSign      Permission = "keys/sign"
	KeysVerify    Permission = "keys/verify"
	KeysEncrypt   Permission = "keys/encrypt"
	KeysDecrypt   Permission = "keys/decrypt"
	KeysWrapKey   Permission = "keys/wrapKey"
	KeysUnwrapKey Permission = "keys/unwrapKey"
)

var (
	certificatePermissions = []Permission{
		CertificatesGet, CertificatesList, CertificatesUpdate, CertificatesCreate, CertificatesImport,
		CertificatesDelete, CertificatesRecover, CertificatesBackup, CertificatesRestore, CertificatesPurge,
		CertificatesManageContacts, CertificatesManageIssuers, CertificatesGetIssuers, CertificatesListIssuers,
		CertificatesSetIssuers, CertificatesDeleteIssuers, CertificatesRevoke,
	}
	secretPermissions = []Permission{SecretsGet, SecretsList}
	keyPermissions    = []Permission{KeysGet, KeysList, KeysSign, KeysVerify, KeysEncrypt, KeysDecrypt, KeysWrapKey, KeysUnwrapKey}
	allPermissions    = slices.Concat(certificatePermissions, secretPermissions, keyPermissions)
)

// rolePermissions gives what an app role permits, by the value of its claim: as much
// as the built-in role of that name does in Key Vault, of what there is here
// (https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/security).
// Azure's Purge Operator purges whole vaults; here it purges certificates.
//
// Entra takes no spaces in the value of an app role. The names with spaces, which
// version 0.1.0 took alone, are what other issuers of tokens may have.
var rolePermissions = func() map[string][]Permission {
	roles := map[string][]Permission{
		"KeyVault.Administrator":       allPermissions,
		"KeyVault.CertificatesOfficer": certificatePermissions,
		"KeyVault.CertificateUser": {
			CertificatesGet, CertificatesList, SecretsGet, SecretsList, KeysGet, KeysList,
		},
		"KeyVault.Reader": {
			CertificatesGet, CertificatesList, CertificatesGetIssuers, CertificatesListIssuers, SecretsList, KeysGet, KeysList,
		},
		"KeyVault.SecretsUser":   secretPermissions,
		"KeyVault.CryptoUser":    keyPermissions,
		"KeyVault.PurgeOperator": {CertificatesPurge},
	}
	for spaced, value := range map[string]string{
		"Key Vault Administrator":        "KeyVault.Administrator",
		"Key Vault Certificates Officer": "KeyVault.CertificatesOfficer",
		"Key Vault Certificate User":     "KeyVault.CertificateUser",
		"Key Vault Reader":               "KeyVault.Reader",
		"Key Vault Secrets User":         "KeyVault.SecretsUser",
		"Key Vault Crypto User":          "KeyVault.CryptoUser",
		"Key Vault Purge Operator":       "KeyVault.PurgeOperator",
	} {
		roles[spaced] = roles[value]
	}
	return roles
}()

// Grants are permissions by object id (the oid claim) of a caller, in lower case.
type Grants map[string][]Permission

// ParseGrants reads grants from a setting: entries "oid=permission+permission",
// separated by semicolons. Empty entries and spaces around entries do not matter.
func ParseGrants(setting string) (Grants, error) {
	grants := make(Grants)
	for entry := range strings.SplitSeq(setting, ";") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		oid, list, _ := strings.Cut(entry, "=")
		oid = strings.ToLower(oid)
		if oid == "" || strings.ContainsFunc(oid, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefghijklmnopqrstuvwxyz-", r) }) {
			return nil, fmt.Errorf("grant %q: %q is not an object id", entry, oid)
		}
		if grants[oid] != nil {
			return nil, fmt.Errorf("grant %q: a second one for the same object id", entry)
		}
		for name := range strings.SplitSeq(list, "+") {
			if !slices.Contains(allPermissions, Permission(name)) {
				return nil, fmt.Errorf("grant %q: %q is not a permission", entry, name)
			}
			grants[oid] = append(grants[oid], Permission(name))
		}
	}
	return grants, nil
}

// permissionSet holds permissions; absence means denied.
type permissionSet map[Permission]bool

func (s permissionSet) add(permissions []Permission) {
	for _, p := range permissions {
		s[p] = true
		if p == CertificatesManageIssuers {
			s.add([]Permission{CertificatesGetIssuers, CertificatesListIssuers, CertificatesSetIssuers, CertificatesDeleteIssuers})
		}
	}
}
