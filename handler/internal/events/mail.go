package events

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/netip"
	"strconv"
	"strings"

	"github.com/certwright/certwright/handler/internal/vault"
)

// MailConfig is what Mail is made of. Server, From, Contacts and Vault are
// required.
type MailConfig struct {
	// Server takes messages by SMTP (RFC 5321), as host or host:port; the port is
	// 587 (RFC 6409) unless given. It must offer STARTTLS (RFC 3207), unless it is
	// on this machine, or begin with TLS (RFC 8314).
	Server string

	// ImplicitTLS says that it does; so does port 465.
	ImplicitTLS bool

	// From is the sender's mailbox, "Name <address>" or an address.
	From string

	// Username and Password log in, by PLAIN or LOGIN; both are empty where the
	// server asks for none.
	Username, Password string

	// Roots verify the server; nil: the system's.
	Roots *x509.CertPool

	// Contacts returns the people to write to; an error with the reason
	// ContactsNotFound means nobody.
	Contacts func(context.Context) ([]vault.Contact, error)

	// Vault is the URL under which people know the vault.
	Vault string

	// Log is discarded when nil.
	Log *slog.Logger
}

// Mail is a destination that writes to the vault's contacts, about certificates
// whose policy says so.
type Mail struct {
	cfg        MailConfig
	source     source
	from       *mail.Address
	host, port string
}

var _ vault.Destination = (*Mail)(nil)

const (
	portSubmission  = "587"
	portSubmissions = "465" // with TLS from the start
)

// NewMail checks cfg and makes a Mail of it. It touches no network.
func NewMail(cfg MailConfig) (*Mail, error) {
	m := &Mail{cfg: cfg}
	var err error
	if m.host, m.port, err = net.SplitHostPort(cfg.Server); err != nil {
		m.host, m.port = cfg.Server, portSubmission
		if cfg.ImplicitTLS {
			m.port = portSubmissions
		}
	}
	m.cfg.ImplicitTLS = cfg.ImplicitTLS || m.port == portSubmissions
	if m.from, err = mail.ParseAddress(cfg.From); err != nil {
		return nil, fmt.Errorf("the sender %q is not a mailbox: %w", cfg.From, err)
	}
	switch {
	case m.host == "" || !isHost(m.host) || !isPort(m.port):
		return nil, fmt.Errorf("the server %q is not of the form host or host:port", cfg.Server)
	case (cfg.Username == "") != (cfg.Password == ""):
		return nil, errors.New("a user name needs a password, and a password a user name")
	case cfg.Contacts == nil:
		return nil, errors.New("there are no recipients")
	}
	if m.source, err = newSource(cfg.Vault); err != nil {
		return nil, err
	}
	if m.cfg.Log == nil {
		m.cfg.Log = slog.New(slog.DiscardHandler)
	}
	return m, nil
}

// isHost reports whether s can be a host's name or address.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	for _, r := range s {
		if r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return true
}

// isPort reports whether s is a port's number.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// Wants implements vault.Destination: people hear of what needs them, where the
// policy has the action EmailContacts.
func (m *Mail) Wants(e vault.Event) bool {
	return e.Contacts && e.Type != vault.EventNewVersion
}

// Deliver writes one message to all contacts that there are now.
func (m *Mail) Deliver(ctx context.Context, e vault.Event) error {
	contacts, err := m.cfg.Contacts(ctx)
	if known, ok := errors.AsType[*vault.Error](err); ok && known.Reason == vault.ContactsNotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the contacts: %w", err)
	}
	var to []*mail.Address
	for _, c := range contacts {
		a, ok := recipient(c.Email)
		if !ok {
			m.cfg.Log.WarnContext(ctx, "contact without a usable address is left out", "event", e.ID)
			continue
		}
		to = append(to, a)
	}
	if len(to) == 0 {
		return nil
	}
	return m.submit(ctx, e.ID, to, m.message(e, to))
}

// recipient reads the address of a contact, which its owner may have written in
// any form. What could be more than an address to a server is none.
func recipient(email string) (*mail.Address, bool) {
	a, err := mail.ParseAddress(email)
	if err != nil || a.Name != "" || strings.ContainsAny(a.Address, " \"\\<>()[],;:") {
		return nil, false
	}
	return a, true
}

// permanent and misconfigured are failures of a server's words.
func permanent(err error) error { return &vault.DeliveryError{Refused: true, Err: err} }

func misconfigured(err error) error {
	return &vault.DeliveryError{After: pauseMisconfigured, Err: err}
}
