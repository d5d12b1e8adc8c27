package kvhttp

// links makes the ids of a vault's objects. All start with the URL by which the
// client reached the vault, because clients take them apart, check their host
// and follow them. Names and versions need no escaping: see [vault.ParseName].
type links string

func (l links) certificate(name string) string { return string(l) + "/certificates/" + name }

func (l links) version(name, version string) string { return l.certificate(name) + "/" + version }

func (l links) policy(name string) string { return l.certificate(name) + "/policy" }

func (l links) pending(name string) string { return l.certificate(name) + "/pending" }

func (l links) deleted(name string) string { return string(l) + "/deletedcertificates/" + name }

func (l links) key(name string) string { return string(l) + "/keys/" + name }

func (l links) keyVersion(name, version string) string { return l.key(name) + "/" + version }

func (l links) secret(name string) string { return string(l) + "/secrets/" + name }

func (l links) secretVersion(name, version string) string { return l.secret(name) + "/" + version }

func (l links) contacts() string { return string(l) + "/certificates/contacts" }

func (l links) issuer(name string) string { return string(l) + "/certificates/issuers/" + name }
