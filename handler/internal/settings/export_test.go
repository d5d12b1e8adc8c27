package settings

// HookToken is the token of an ACME provider's first hook.
func HookToken(p Provider) string { return p.ACME.Hooks[0].token }
