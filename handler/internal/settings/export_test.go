package settings

// What the external tests see of the package.

// HookToken is the token of an ACME provider's first hook.
func HookToken(p Provider) string { return p.ACME.Hooks[0].token }
