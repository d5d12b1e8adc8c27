package events

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// Limits of one session.
const (
	sessionTimeout = 30 * time.Second
	maxReplies     = 64 << 10 // bytes that a server may say in all, encrypted
)

// submit hands one message over to the server.
func (m *Mail) submit(ctx context.Context, eventID string, to []*mail.Address, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	conn, err := egress.Dial(ctx, net.JoinHostPort(m.host, m.port), nil)
	if err != nil {
		return fmt.Errorf("connecting to the mail server: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	err = m.session(ctx, &quietConn{Conn: conn, left: maxReplies}, eventID, to, message)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("the mail server took too long: %w", ctx.Err())
	}
	return err
}

// session is what is said on one connection.
func (m *Mail) session(ctx context.Context, conn net.Conn, eventID string, to []*mail.Address, message []byte) error {
	client, err := m.greet(conn)
	if err != nil {
		return fmt.Errorf("greeting the mail server: %w", asConfiguration(err))
	}
	if err := m.logIn(client); err != nil {
		return asConfiguration(err)
	}
	if err := client.Mail(m.from.Address); err != nil {
		return fmt.Errorf("the mail server refuses the sender: %w", asConfiguration(err))
	}
	var taken int
	var refusals []error
	for _, a := range to {
		if err := client.Rcpt(a.Address); err != nil {
			refusals = append(refusals, err)
			continue
		}
		taken++
	}
	switch {
	case taken == 0:
		err := fmt.Errorf("the mail server takes none of %d recipients: %w", len(to), refusals[0])
		if slices.ContainsFunc(refusals, func(err error) bool { return !isPermanent(err) }) {
			return err
		}
		return permanent(err)
	case len(refusals) > 0:
		m.cfg.Log.WarnContext(ctx, "the mail server does not take all recipients", "event", eventID, "refused", len(refusals), "taken", taken, "error", refusals[0])
	}
	w, err := client.Data()
	if err == nil {
		_, err = w.Write(message)
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		err = fmt.Errorf("the mail server does not take the message: %w", err)
		if isPermanent(err) {
			return permanent(err)
		}
		return err
	}
	_ = client.Quit() // the message is theirs
	return nil
}

// greet begins a session, with TLS except on this machine.
func (m *Mail) greet(conn net.Conn) (*smtp.Client, error) {
	config := &tls.Config{ServerName: m.host, RootCAs: m.cfg.Roots, MinVersion: tls.VersionTLS12}
	if m.cfg.ImplicitTLS {
		conn = tls.Client(conn, config)
	}
	client, err := smtp.NewClient(conn, m.host)
	if err != nil {
		return nil, err
	}
	if err := client.Hello(m.source.host); err != nil {
		return nil, err
	}
	offered, _ := client.Extension("STARTTLS")
	switch {
	case m.cfg.ImplicitTLS:
		return client, nil
	case offered:
		return client, client.StartTLS(config)
	case isLoopback(m.host):
		return client, nil
	default:
		return nil, misconfigured(errors.New("it does not offer STARTTLS"))
	}
}

func (m *Mail) logIn(client *smtp.Client) error {
	if m.cfg.Username == "" {
		return nil
	}
	_, offered := client.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	var auth smtp.Auth
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		auth = smtp.PlainAuth("", m.cfg.Username, m.cfg.Password, m.host)
	case slices.Contains(mechanisms, "LOGIN"):
		auth = &login{answers: []string{m.cfg.Username, m.cfg.Password}}
	default:
		return misconfigured(fmt.Errorf("the mail server offers neither PLAIN nor LOGIN to log in by, but %q", mechanisms))
	}
	if err := client.Auth(auth); err != nil {
		return fmt.Errorf("logging in to the mail server: %w", err)
	}
	return nil
}

// login is the mechanism LOGIN (draft-murchison-sasl-login), which some services
// offer alone: the server asks for the user name and then for the password.
type login struct{ answers []string }

// Start implements smtp.Auth.
func (l *login) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS && !isLoopback(server.Name) {
		return "", nil, errors.New("the connection is not encrypted")
	}
	return "LOGIN", nil, nil
}

// Next implements smtp.Auth.
func (l *login) Next(_ []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	if len(l.answers) == 0 {
		return nil, errors.New("the server asks for more than name and password")
	}
	answer := l.answers[0]
	l.answers = l.answers[1:]
	return []byte(answer), nil
}

// isLoopback: the host is this machine, as only the settings can say.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// isPermanent: the server would answer the same again. RFC 5321 section 4.2.1.
func isPermanent(err error) bool {
	reply, ok := errors.AsType[*textproto.Error](err)
	return ok && reply.Code/100 == 5
}

// asConfiguration: what a server refuses for good before it has heard of a
// recipient is about the settings, and can be mended there.
func asConfiguration(err error) error {
	if isPermanent(err) {
		return misconfigured(err)
	}
	return err
}

// quietConn is a connection on which the other side may not say more than so
// much.
type quietConn struct {
	net.Conn
	left int
}

// Read implements io.Reader.
func (c *quietConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the mail server says more than %d bytes: %w", maxReplies, io.ErrUnexpectedEOF)
	}
	if len(p) > c.left {
		p = p[:c.left]
	}
	n, err := c.Conn.Read(p)
	c.left -= n
	return n, err
}
