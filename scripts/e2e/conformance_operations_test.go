package e2e

// The rows of the matrix: what the programs of the clients try.

// operations is the matrix's rows: what the programs of the clients try, by parts,
// in the order of the document. A part is what a program runs when it is asked to.
var operations = []struct {
	part  string
	title string
	names []string
}{
	{"lifecycle", "Lifecycle", []string{
		"create with issuer Self",
		"read certificate, version and policy",
		"list certificates and versions",
		"delete the operation",
		"create with issuer Unknown",
		"merge",
		"set, update, get and list an issuer",
		"create at an issuer that holds",
		"the issuer issues",
		"the old version is served while a new one is pending",
		"cancel at the issuer",
		"the issuer rejects",
		"merge what was obtained elsewhere",
		"cancel right after create",
		"delete a certificate",
		"create on a deleted name",
		"recover",
		"purge",
		"delete the issuer",
	}},
	{"creation", "What may be asked for", []string{
		"create with the client's default policy",
		"create disabled, with tags",
		"create with every kind of alternative name",
		"create with keys of every kind",
		"create with usages, validity and lifetime actions",
		"a bad name or policy is refused",
	}},
	{"imports", "Import", []string{
		"import PKCS #12",
		"import PKCS #12 with a password",
		"import PEM",
		"import PEM in base64",
		"import a chain in any order",
		"import disabled, keeping the order of the chain",
		"import a new version",
		"what cannot be imported is refused",
	}},
	{"changes", "Changes", []string{
		"update the latest version",
		"update a version",
		"update a policy",
		"administrators of an issuer",
	}},
	{"contacts", "Contacts", []string{
		"set, get and delete contacts",
	}},
	{"lists", "Lists", []string{
		"page through certificates",
		"page through versions",
		"page through deleted certificates",
		"what is not there is not found",
	}},
	{"backups", "Backup", []string{
		"back up and restore",
		"restore over a certificate is refused",
		"restore of anything else is refused",
	}},
	{"readside", "Secret and key", []string{
		"get the secret: PKCS #12",
		"get the secret: PEM",
		"get the secret of a key that is not exportable",
		"get the secret of a disabled certificate",
		"list secrets",
		"get the key",
		"list keys",
		"sign and verify with RSA",
		"sign and verify with EC",
	}},
}
