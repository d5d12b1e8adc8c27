// Package events tells others of what happens to certificates: HTTPS endpoints,
// in the form in which Event Grid does, and the vault's contacts by e-mail.
// docs/events.md is for the receivers.
//
// When something happens, and how often its telling is tried, is the vault's
// business (package vault, event.go); here is one attempt:
//
//	endpoint.go cloudevent.go   a signed CloudEvent to an endpoint
//	mail.go message.go smtp.go  a message to the contacts
//
// Nothing is remembered here: an event that is delivered twice has the same id,
// and the same Message-ID, twice.
package events
