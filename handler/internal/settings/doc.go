// Package settings knows what the handler's app settings mean.
//
// [Parse] reads all of them once and reports everything that is wrong; what it
// returns is checked and is not changed. A command that serves nothing reads only
// what it needs, by [ParseState]. From [Settings] the rest is made:
// [Settings.OpenBackend] opens storage and the key-encryption key, then
// [Settings.OpenProviders] makes the CAs on that and [Settings.OpenDestinations]
// the receivers of events. None of these touches the network.
//
// docs/settings.md documents the settings for those who set them, docs/issuers.md
// the providers and docs/events.md the destinations. The comment of each field of
// Settings names its setting; the JSON members of a provider or destination are
// documented at their struct.
//
//	settings.go reader.go        all settings, and how single ones are read
//	production.go                what is refused unless all state is on one machine
//	backend.go                   storage, sealing, the identity in Azure
//	providers.go                 CERTWRIGHT_PROVIDERS; one file for each kind of CA:
//	acme.go digicert.go privateca.go stepca.go vaultpki.go webhook.go
//	chainfile.go keyplace.go cafiles.go awaitedca.go
//	                             a private CA's chain, its key, the files that it
//	                             serves, and one that was not made yet
//	files.go                     the folder of files that settings name
//	destinations.go              CERTWRIGHT_EVENTS
//	roots.go                     files of roots, of both
package settings
