package main

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/certwright/certwright/handler/localcloud/identity"
	"github.com/certwright/certwright/handler/localcloud/loopback"
)

// kekName is the file of the key-encryption key.
const kekName = "kek"

// dataName is the folder of Azurite's data.
const dataName = "data"

// scheduleName is the setting of how often the timer fires; defaultSchedule, in
// NCRONTAB, is every five seconds.
const (
	scheduleName    = "CERTWRIGHT_ADVANCE_SCHEDULE"
	defaultSchedule = "*/5 * * * * *"
)

// logFormatName is the setting of how the handler logs; people at the terminal of
// `make run` get short lines.
const (
	logFormatName    = "CERTWRIGHT_LOG_FORMAT"
	defaultLogFormat = "text"
)

// filesSetting is the folder that relative names of files in settings are relative
// to; filesName is the local cloud's.
const (
	filesSetting = "CERTWRIGHT_FILES"
	filesName    = "files"
)

// storageSetting is the connection string of storage.
const storageSetting = "CERTWRIGHT_STORAGE_CONNECTION_STRING"

func (c *cloud) identityURL() string { return "http://" + loopback.Address(c.ports.identity.number) }

// vaultURL is the front door's, under the name that its certificate has.
func (c *cloud) vaultURL() string {
	return "https://localhost:" + strconv.Itoa(c.ports.frontDoor.number)
}

func (c *cloud) endpoints() endpoints {
	e := endpoints{
		url:              c.vaultURL(),
		hostURL:          "http://" + loopback.Address(c.ports.host.number),
		proxy:            "http://" + loopback.Address(c.ports.proxy.number),
		identityEndpoint: c.identityURL() + identity.TokenPath,
		bundle:           c.bundle,
	}
	if c.directory != nil {
		e.identityHeader = c.directory.Header()
	}
	return e
}

// settings is the environment of the Functions host, and so of the handler. It
// wins over local.settings.json.
func (c *cloud) settings() []string {
	environ := ownEnviron(os.Environ())
	connection := c.storage.ConnectionString()
	for _, v := range []variable{
		{"FUNCTIONS_WORKER_RUNTIME", "custom"},
		{"AzureWebJobsStorage", connection},
		{storageSetting, connection},
		{filesSetting, cmp.Or(os.Getenv(filesSetting), c.place.state.Local(filesName))},
		{"CERTWRIGHT_KEK_FILE", c.place.state.Local(kekName)},
		{"CERTWRIGHT_AUTHORITY", c.vaultURL() + "/" + c.directory.TenantID()},
		{"CERTWRIGHT_RESOURCE", resource},
		{"CERTWRIGHT_TOKEN_ISSUERS", c.identityURL()},
		{"CERTWRIGHT_TOKEN_KEYS_URL", c.identityURL() + identity.KeysPath},
		{"CERTWRIGHT_TOKEN_AUDIENCES", resource + "," + resource + "/"}, // as clients ask for it
		{"CERTWRIGHT_VAULT_URLS", c.vaultURL() + ",https://*.vault.azure.net"},
		{scheduleName, cmp.Or(os.Getenv(scheduleName), defaultSchedule)},
		{logFormatName, cmp.Or(os.Getenv(logFormatName), defaultLogFormat)},
		{"CERTWRIGHT_SCRIPTED_ISSUER", "true"},
		{"CERTWRIGHT_RETRY_AFTER", "1"}, // nobody pays for a poll here
	} {
		environ = slices.DeleteFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, v.name+"=") })
		environ = append(environ, v.name+"="+v.value)
	}
	return environ
}

// certwrightSettings are those of the settings that are Certwright's.
func (c *cloud) certwrightSettings() []string {
	return slices.DeleteFunc(c.settings(), func(entry string) bool { return !strings.HasPrefix(entry, "CERTWRIGHT_") })
}
