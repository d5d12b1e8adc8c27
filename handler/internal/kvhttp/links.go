package kvhttp

import "github.com/certwright/certwright/handler/internal/vault"

// links makes the ids of a vault's objects. All start with the URL by which the
// client reached the vault, because clients take them apart, check their host
// and follow them. Names and versions need no escaping: see [vault.ParseName].
type links string

func (l links) certificate(name string) string { return string(l) + "/certificates/" + name }

func (l links) version(name, version string) string { return l.certificate(name) + "/" + version }

func (l links) policy(name string) string { return l.certificate(name) + "/policy" }

func (l links) pending(name string) string { return l.certificate(name) + "/pending" }

func (l links) deleted(collection, name string) string {
	return string(l) + "/" + collection + "/" + name
}

func (l links) key(name string) string { return string(l) + "/keys/" + name }

func (l links) keyVersion(name, version string) string { return l.key(name) + "/" + version }

func (l links) secret(name string) string { return string(l) + "/secrets/" + name }

func (l links) secretVersion(name, version string) string { return l.secret(name) + "/" + version }

func (l links) contacts() string { return string(l) + "/certificates/contacts" }

func (l links) revocation(name, version string) string { return l.version(name, version) + "/revoke" }

// work is where an entry of the operations board is.
func (l links) work(e vault.BoardEntry) string {
	switch e.Work {
	case vault.WorkRevocation:
		return l.revocation(e.Name, e.Version)
	case vault.WorkRelease:
		return string(l) + "/operations/" + e.Name + "?work=release&request_id=" + e.RequestID
	case vault.WorkUnreadable:
		return string(l) + "/operations/storage/unreadable"
	default:
		return string(l) + "/operations/" + e.Name
	}
}

func (l links) issuer(name string) string { return string(l) + "/certificates/issuers/" + name }
