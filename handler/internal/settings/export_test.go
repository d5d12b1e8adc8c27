package settings

// What the external tests see of the package.

// HookToken is the token of an ACME provider's first hook.
func HookToken(p Provider) string { return p.ACME.Hooks[0].token }

// FilesOf are the files that a provider names.
func FilesOf(p Provider) []string {
	var names []string
	for _, file := range p.files() {
		if *file != "" {
			names = append(names, *file)
		}
	}
	return names
}
