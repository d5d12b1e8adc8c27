package auth

import (
	"cmp"
	"fmt"
	"strings"
)

// A Caller is the sender of an authenticated request. The zero Caller may do nothing.
type Caller struct {
	// ObjectID identifies the user or service principal (oid); empty in some
	// tokens of applications, which then have an AppID.
	ObjectID string

	// AppID is the client application (appid or azp), empty if the token has none.
	AppID string

	// TenantID is the caller's tenant (tid).
	TenantID string

	// Issuer vouches for all this (iss).
	Issuer string

	groups      int // how many the token names
	permissions permissionSet
}

// caller returns the caller that validated claims describe.
func (v *Validator) caller(c *claims) Caller {
	permissions := make(permissionSet)
	for _, role := range c.Roles {
		permissions.add(rolePermissions[role])
	}
	permissions.add(v.grants[strings.ToLower(c.ObjectID)])
	return Caller{
		ObjectID:    c.ObjectID,
		AppID:       cmp.Or(c.AppID, c.AuthorizedParty),
		TenantID:    c.TenantID,
		Issuer:      c.Issuer,
		groups:      len(c.Groups),
		permissions: permissions,
	}
}

// Can reports whether the caller has permission p.
func (c Caller) Can(p Permission) bool { return c.permissions[p] }

// Forbidden returns the message of the 403 (code Forbidden, inner code
// ForbiddenByPolicy) for a caller who lacks permission p on a vault. Like Key
// Vault's, it says who the caller is and what is missing.
func (c Caller) Forbidden(p Permission, vault, location string) string {
	collection, operation, _ := strings.Cut(string(p), "/")
	return fmt.Sprintf("The user, group or application 'appid=%s;oid=%s;numgroups=%d;iss=%s' does not have %s %s permission on key vault '%s;location=%s'."+
		" For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287",
		clip(c.AppID), clip(c.ObjectID), c.groups, c.Issuer, collection, operation, vault, location)
}
