package settings

import "path/filepath"

// filesName is the setting of the folder that file names in settings are relative
// to. Unless set it is the one that the program was started in: the app's own, in
// the Functions host.
const filesName = "CERTWRIGHT_FILES"

// filesFolder is the setting's value.
type filesFolder string

// resolve makes names of files that are relative begin with the folder.
func (d filesFolder) resolve(files ...*string) {
	for _, file := range files {
		if d != "" && *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(string(d), *file)
		}
	}
}

// files are the members that name files.
func (p Provider) files() []*string {
	var all []*string
	if c := p.ACME; c != nil {
		all = append(all, &c.Roots)
		for i := range c.Hooks {
			all = append(all, &c.Hooks[i].Roots)
		}
	}
	if c := p.Webhook; c != nil {
		all = append(all, &c.Roots)
	}
	if c := p.PrivateCA; c != nil {
		all = append(all, &c.Chain, &c.KeyFile)
	}
	if c := p.VaultPKI; c != nil {
		all = append(all, &c.Roots)
	}
	if c := p.StepCA; c != nil {
		all = append(all, &c.Roots)
	}
	if c := p.DigiCert; c != nil {
		all = append(all, &c.Roots)
	}
	return all
}

// files are the members that name files.
func (d Destination) files() []*string {
	if d.HTTPS != nil {
		return []*string{&d.HTTPS.Roots}
	}
	return []*string{&d.SMTP.Roots}
}
