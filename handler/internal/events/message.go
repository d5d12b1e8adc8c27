package events

import (
	"bytes"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// message is what the contacts are written about an event, RFC 5322. It is the
// same each time, so that whoever gets it twice can tell.
func (m *Mail) message(e vault.Event, to []*mail.Address) []byte {
	subject, text := m.text(e)
	var recipients []string
	for _, a := range to {
		recipients = append(recipients, a.String())
	}
	var b bytes.Buffer
	for _, field := range [][2]string{
		{"From", m.from.String()},
		{"To", strings.Join(recipients, ",\r\n ")},
		{"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Date", e.Time.Format(time.RFC1123Z)},
		{"Message-ID", "<" + e.ID + "@" + m.source.host + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: nobody's absence answers it
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", field[0], field[1])
	}
	b.WriteString("\r\n")
	body := quotedprintable.NewWriter(&b)
	body.Write([]byte(text)) // a Buffer takes everything
	body.Close()
	return b.Bytes()
}

// text is the subject and the body of a message.
func (m *Mail) text(e vault.Event) (subject, body string) {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	what := fmt.Sprintf("The certificate %s in the vault %s", e.Certificate, m.source.url)
	switch e.Type {
	case vault.EventExpired:
		subject = fmt.Sprintf("Certificate %s has expired", e.Certificate)
		say("%s expired on %s.", what, date(e.Expires))
	case vault.EventOperationFailed:
		subject = fmt.Sprintf("Certificate %s: the request for a new version has failed", e.Certificate)
		say("%s has no new version: the request for one has failed.", what)
		say("\nThe issuer %s said (%s):\n", e.Issuer, e.Code)
		for line := range strings.Lines(strings.TrimSpace(e.Message)) {
			say("    %s", printable(line))
		}
		say("")
		if e.Version == "" {
			say("There is no earlier version.")
		} else {
			say("The version before stays in use. It expires on %s%s.", date(e.Expires), inDays(e))
		}
	default:
		subject = fmt.Sprintf("Certificate %s expires on %s", e.Certificate, e.Expires.Format("2 January 2006"))
		say("%s expires on %s%s.", what, date(e.Expires), inDays(e))
	}
	say("\nWhat to do:\n")
	for _, line := range advice(e) {
		say("  - %s", line)
	}
	say("")
	if e.Version != "" {
		say("Version:  %s", e.Version)
	}
	say("Issuer:   %s", e.Issuer)
	if e.RequestID != "" {
		say("Request:  %s", e.RequestID)
	}
	say("Event:    %s", e.ID)
	say("\nYou get this message because you are a contact of the vault and the\ncertificate's policy notifies its contacts.")
	return subject, b.String()
}

// advice is what the contacts can do.
func advice(e vault.Event) []string {
	byHand := []string{
		"Start a new version of the certificate. The vault makes a key and a certificate signing request.",
		"Have your certificate authority sign the request, and merge the certificate that it sends you.",
	}
	manual := strings.EqualFold(e.Issuer, policy.IssuerUnknown)
	switch {
	case e.Type == vault.EventOperationFailed && e.Renewal:
		return []string{"Mend what the issuer complains about. The vault tries again by itself until the certificate expires, or at once if you start a new version."}
	case e.Type == vault.EventOperationFailed:
		return []string{"Mend what the issuer complains about, and start a new version of the certificate."}
	case e.AutoRenew && !manual:
		return []string{"The vault renews this certificate by itself, but has not done so yet. See what its pending operation says."}
	case manual:
		return byHand
	default:
		return []string{fmt.Sprintf("Start a new version of the certificate; its issuer is %s.", e.Issuer)}
	}
}

func date(t time.Time) string { return t.UTC().Format("2 January 2006 at 15:04 UTC") }

// inDays is how long the version was valid when the event happened.
func inDays(e vault.Event) string {
	const day = 24 * time.Hour
	switch days := e.Expires.Sub(e.Time).Round(day) / day; {
	case !e.Time.Before(e.Expires):
		return ""
	case days == 0:
		return ", in less than a day"
	case days == 1:
		return ", in a day"
	default:
		return fmt.Sprintf(", in %d days", days)
	}
}
