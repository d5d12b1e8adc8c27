package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// hostsName is the file of names for programs that ignore proxy settings, in the
// form of a hosts file (hosts(5)): Java reads it by -Djdk.net.hosts.file.
const hostsName = "hosts"

// vaultName is the form of a vault's name in Azure.
var vaultName = regexp.MustCompile(`^[0-9A-Za-z](?:[0-9A-Za-z-]{0,22}[0-9A-Za-z])?$`)

// hostsFile leads vaults, by names that commas separate, to the front door.
func hostsFile(names string) ([]byte, error) {
	text := "127.0.0.1 localhost\n"
	for name := range strings.SplitSeq(names, ",") {
		if !vaultName.MatchString(name) {
			return nil, fmt.Errorf("%q is not the name of a vault: letters, digits and hyphens, at most 24", name)
		}
		text += "127.0.0.1 " + name + ".vault.azure.net\n"
	}
	return []byte(text), nil
}

// writeHosts writes the file of names, if there are any.
func writeHosts(c checkout.Checkout, names string) error {
	if names == "" {
		return nil
	}
	content, err := hostsFile(names)
	if err != nil {
		return err
	}
	return c.State().Write(hostsName, content)
}
