package kvhttp

import (
	"fmt"
	"slices"
)

// apiVersions are the api-versions that are served, oldest first.
//
// Source: REST specification, Versions; the older ones are what clients in the
// field still send.
var apiVersions = []string{
	"2016-10-01",
	"7.0-preview", "7.0", "7.1-preview", "7.1", "7.2", "7.3-preview", "7.3",
	"7.4-preview.1", "7.4", "7.5-preview.1", "7.5",
	"7.6-preview.1", "7.6-preview.2", "7.6",
	"2025-06-01-preview", "2025-07-01",
	"2026-01-01-preview", "2026-03-01-preview", latestVersion, "2026-05-01-preview",
}

// latestVersion is the newest that is not a preview.
const latestVersion = "2026-04-01"

// apiVersion is a place in apiVersions: of two, the newer is the greater.
type apiVersion int

// Versions from which a field appears in answers. In requests every field is
// accepted under every version.
var (
	sinceRecoverableDays = mustParseVersion("7.1")
	sinceHSMPlatform     = mustParseVersion("7.5-preview.1")
	sincePreserveOrder   = mustParseVersion("7.6-preview.2")
	sinceURIAndIPNames   = mustParseVersion("2025-06-01-preview")
	sincePreviousVersion = mustParseVersion("2025-06-01-preview")
)

func (v apiVersion) String() string { return apiVersions[v] }

// parseVersion reads the api-version of a request.
func parseVersion(s string) (apiVersion, error) {
	if s == "" {
		return 0, badRequest("The api-version query parameter is missing. Consider using the latest supported version (%s).", latestVersion)
	}
	i := slices.Index(apiVersions, s)
	if i < 0 {
		return 0, badRequest("The specified version (%s) is not recognized. Consider using the latest supported version (%s).", s, latestVersion)
	}
	return apiVersion(i), nil
}

func mustParseVersion(s string) apiVersion {
	v, err := parseVersion(s)
	if err != nil {
		panic(fmt.Sprintf("api-version %q is not in the list", s))
	}
	return v
}
