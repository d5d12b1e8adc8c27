package events_test

// E-mail to contacts: texts, sessions with mail servers, failures.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/events"
	"github.com/certwright/certwright/handler/internal/vault"
)

// contacts are people to tell.
func contacts(emails ...string) func(context.Context) ([]vault.Contact, error) {
	return func(context.Context) ([]vault.Contact, error) {
		var list []vault.Contact
		for _, e := range emails {
			list = append(list, vault.Contact{Email: e, Name: "Somebody"})
		}
		return list, nil
	}
}

// mailTo is the destination that writes to people by the server.
func (s *smtpServer) mailTo(t testing.TB, edit func(*events.MailConfig)) *events.Mail {
	t.Helper()
	cfg := events.MailConfig{
		Server: s.address(), From: "Certwright <vault@example.com>", Roots: s.roots, Vault: vaultURL,
		ImplicitTLS: s.implicit, Contacts: contacts("ada@example.com", "grace@example.com"),
	}
	if s.auth != "" {
		cfg.Username, cfg.Password = mailUser, mailPassword
	}
	if edit != nil {
		edit(&cfg)
	}
	m, err := events.NewMail(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// readLetter parses a message and its text.
func readLetter(t testing.TB, l letter) (header mail.Header, subject, text string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(l.data))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, l.data)
	}
	if subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Error(err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Error(err)
	}
	return m.Header, subject, strings.ReplaceAll(string(body), "\r\n", "\n")
}

// TestLetters: what people read.
func TestLetters(t *testing.T) {
	t.Parallel()
	s := (&smtpServer{startTLS: true}).start(t)
	m := s.mailTo(t, nil)
	for _, test := range []struct {
		file, subject string
		event         vault.Event
	}{
		{"nearexpiry.txt", "Certificate Web expires on 31 March 2026", event(vault.EventNearExpiry)},
		{"expired.txt", "Certificate Web has expired", event(vault.EventExpired)},
		{"failed.txt", "Certificate Web: the request for a new version has failed", event(vault.EventOperationFailed)},
	} {
		if err := m.Deliver(t.Context(), test.event); err != nil {
			t.Fatal(err)
		}
		l := s.take()[0]
		if diff := cmp.Diff([]string{"ada@example.com", "grace@example.com"}, l.to); diff != "" || l.from != "vault@example.com" || !l.encrypted {
			t.Errorf("envelope from %s, encrypted %v (-want +got):\n%s", l.from, l.encrypted, diff)
		}
		header, subject, text := readLetter(t, l)
		want, err := os.ReadFile("testdata/" + test.file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), text); diff != "" || subject != test.subject {
			t.Errorf("%q (-want +got):\n%s", subject, diff)
		}
		when, err := header.Date()
		if err != nil || !when.Equal(test.event.Time.Truncate(time.Second)) {
			t.Errorf("Date is %s, %v", when, err)
		}
		for name, want := range map[string]string{
			"Message-Id":     "<" + test.event.ID + "@v1.certs.example.com>",
			"From":           `"Certwright" <vault@example.com>`,
			"To":             "<ada@example.com>, <grace@example.com>",
			"Auto-Submitted": "auto-generated",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if len(header) != 9 || header.Get("Bcc") != "" {
			t.Errorf("header is %v", header)
		}
	}
}

// TestAdvice: what people are told to do depends on who can do it.
func TestAdvice(t *testing.T) {
	t.Parallel()
	s := (&smtpServer{}).start(t)
	m := s.mailTo(t, nil)
	for _, test := range []struct {
		edit func(*vault.Event)
		want string
	}{
		{func(e *vault.Event) { e.Issuer = "unknown" }, "merge the certificate that it sends you"},
		{func(e *vault.Event) { e.Issuer = "Unknown"; e.AutoRenew = true }, "merge the certificate that it sends you"},
		{func(e *vault.Event) { e.AutoRenew = true }, "The vault renews this certificate by itself"},
		{func(*vault.Event) {}, "its issuer is Corp"},
		{func(e *vault.Event) { e.Expires = e.Time.Add(time.Hour) }, "in less than a day"},
		{func(e *vault.Event) { e.Expires = e.Time.Add(30 * time.Hour) }, "in a day"},
		{func(e *vault.Event) {
			e.Type = vault.EventOperationFailed
			e.Code, e.Message, e.Renewal = "c", "m", true
		}, "The vault tries again by itself"},
		{func(e *vault.Event) { e.Type = vault.EventOperationFailed; e.Code, e.Message, e.Version = "c", "m", "" }, "There is no earlier version."},
	} {
		e := event(vault.EventNearExpiry)
		test.edit(&e)
		if err := m.Deliver(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if _, _, text := readLetter(t, s.take()[0]); !strings.Contains(strings.Join(strings.Fields(text), " "), test.want) {
			t.Errorf("%q is not in:\n%s", test.want, text)
		}
	}
}

// TestMailWants: only what needs people, where the policy says so.
func TestMailWants(t *testing.T) {
	t.Parallel()
	m := (&smtpServer{}).start(t).mailTo(t, nil)
	for _, typ := range vault.EventTypes {
		e := event(typ)
		if got, want := m.Wants(e), typ != vault.EventNewVersion; got != want {
			t.Errorf("%s: %v", typ, got)
		}
		e.Contacts = false
		if m.Wants(e) {
			t.Errorf("%s is wanted without EmailContacts", typ)
		}
	}
}

// TestSessions: encryption and login, in all their forms.
func TestSessions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		what      string
		server    *smtpServer
		encrypted bool
	}{
		{"STARTTLS", &smtpServer{startTLS: true}, true},
		{"STARTTLS and PLAIN", &smtpServer{startTLS: true, auth: "LOGIN PLAIN"}, true},
		{"STARTTLS and LOGIN", &smtpServer{startTLS: true, auth: "XOAUTH2 LOGIN"}, true},
		{"TLS and PLAIN", &smtpServer{implicit: true, auth: "PLAIN"}, true},
		{"TLS and LOGIN", &smtpServer{implicit: true, auth: "LOGIN"}, true},
		{"this machine, in the clear", &smtpServer{auth: "LOGIN"}, false},
	} {
		s := test.server.start(t)
		if err := s.mailTo(t, nil).Deliver(t.Context(), event(vault.EventExpired)); err != nil {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		l := s.take()
		if len(l) != 1 || l[0].encrypted != test.encrypted || (l[0].user == mailUser) != (s.auth != "") {
			t.Errorf("%s: %+v", test.what, l)
		}
	}
}

// TestMailFailures: what a server's words mean for the next attempt. No error
// tells the password.
func TestMailFailures(t *testing.T) {
	t.Parallel()
	on := func(prefix, answer string) func(string) string {
		return func(command string) string {
			if strings.HasPrefix(command, prefix) {
				return answer
			}
			return ""
		}
	}
	retry, mend, refused := vault.DeliveryError{}, vault.DeliveryError{After: 5 * time.Minute}, vault.DeliveryError{Refused: true}
	for _, test := range []struct {
		what string
		s    *smtpServer
		edit func(*events.MailConfig)
		want vault.DeliveryError
	}{
		{what: "busy", s: &smtpServer{reply: on("greeting", "421 too busy")}, want: retry},
		{what: "no service", s: &smtpServer{reply: on("greeting", "554 no service")}, want: mend},
		{what: "closed at once", s: &smtpServer{reply: on("greeting", "close")}, want: retry},
		{what: "TLS refused for now", s: &smtpServer{startTLS: true, reply: on("STARTTLS", "454 not now")}, want: retry},
		{what: "wrong password", s: &smtpServer{auth: "PLAIN"}, edit: func(c *events.MailConfig) { c.Password = mailPassword + "x" }, want: mend},
		{what: "no known login", s: &smtpServer{auth: "XOAUTH2"}, want: mend},
		{what: "login not offered", s: &smtpServer{}, edit: func(c *events.MailConfig) { c.Username, c.Password = mailUser, mailPassword }, want: mend},
		{what: "login asks on", s: &smtpServer{auth: "LOGIN", reply: on("AUTH", "334 UGFzc3dvcmQ6\r\n334 VXNlcg==\r\n334 VXNlcg==")}, want: retry},
		{what: "login needed", s: &smtpServer{auth: "PLAIN"}, edit: func(c *events.MailConfig) { c.Username, c.Password = "", "" }, want: mend},
		{what: "sender refused", s: &smtpServer{reply: on("MAIL", "550 not yours")}, want: mend},
		{what: "sender too fast", s: &smtpServer{reply: on("MAIL", "450 slowly")}, want: retry},
		{what: "nobody known", s: &smtpServer{reply: on("RCPT", "550 no such user")}, want: refused},
		{what: "nobody taken for now", s: &smtpServer{reply: on("RCPT", "450 greylisted")}, want: retry},
		{what: "one unknown, one not taken for now", s: &smtpServer{reply: func(c string) string {
			return on("RCPT TO:<ada", "550 no such user")(c) + on("RCPT TO:<grace", "451 later")(c)
		}}, want: retry},
		{what: "message refused", s: &smtpServer{reply: on("end of data", "554 spam")}, want: refused},
		{what: "message not taken for now", s: &smtpServer{reply: on("end of data", "452 full")}, want: retry},
		{what: "answer lost", s: &smtpServer{reply: on("end of data", "close")}, want: retry},
		{what: "a flood", s: &smtpServer{reply: on("EHLO", strings.Repeat("250-X\r\n", 100<<10)+"250 X")}, want: retry},
		{what: "nonsense", s: &smtpServer{reply: on("greeting", "HTTP/1.1 400 Bad Request")}, want: retry},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			err := test.s.start(t).mailTo(t, test.edit).Deliver(t.Context(), event(vault.EventExpired))
			got, _ := errors.AsType[*vault.DeliveryError](err)
			if got == nil {
				got = new(vault.DeliveryError)
			}
			if err == nil || got.Refused != test.want.Refused || got.After != test.want.After {
				t.Errorf("refused %v, after %s: %v", got.Refused, got.After, err)
			}
			if err != nil && strings.Contains(err.Error(), mailPassword) {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

// TestSomeRecipients: those whom the server takes are written to.
func TestSomeRecipients(t *testing.T) {
	t.Parallel()
	s := (&smtpServer{reply: func(c string) string {
		if strings.HasPrefix(c, "RCPT TO:<ada") {
			return "550 no such user"
		}
		return ""
	}}).start(t)
	if err := s.mailTo(t, nil).Deliver(t.Context(), event(vault.EventExpired)); err != nil {
		t.Fatal(err)
	}
	if l := s.take(); len(l) != 1 || len(l[0].to) != 1 || l[0].to[0] != "grace@example.com" {
		t.Errorf("%+v", l)
	}
}

// TestContacts: nobody is nobody, and what could be more than an address is left
// out, without a word of it in the log.
func TestContacts(t *testing.T) {
	t.Parallel()
	s := (&smtpServer{}).start(t)
	for what, c := range map[string]func(context.Context) ([]vault.Contact, error){
		"none set": func(context.Context) ([]vault.Contact, error) {
			return nil, &vault.Error{Reason: vault.ContactsNotFound}
		},
		"no usable one": contacts("nobody", "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com", `"a> NOTIFY=NEVER"@example.com`,
			"Ada <a@example.com>, b@example.com", `"a@example.com> ORCPT=x <"@example.com`, "a@[127.0.0.1]"),
	} {
		if err := s.mailTo(t, func(cfg *events.MailConfig) { cfg.Contacts = c }).Deliver(t.Context(), event(vault.EventExpired)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if l := s.take(); len(l) > 0 {
		t.Errorf("written %+v", l)
	}
	away := func(context.Context) ([]vault.Contact, error) { return nil, &vault.Error{Reason: vault.Unavailable} }
	if err := s.mailTo(t, func(cfg *events.MailConfig) { cfg.Contacts = away }).Deliver(t.Context(), event(vault.EventExpired)); err == nil {
		t.Error("contacts that cannot be read are nobody")
	}
	var log bytes.Buffer
	some := contacts("ada@example.com", "s3cret@example.com\r\nX: y", "<grace@example.com>")
	err := s.mailTo(t, func(cfg *events.MailConfig) {
		cfg.Contacts, cfg.Log = some, slog.New(slog.NewTextHandler(&log, nil))
	}).Deliver(t.Context(), event(vault.EventExpired))
	if l := s.take(); err != nil || len(l) != 1 || len(l[0].to) != 2 {
		t.Errorf("written %+v, %v", l, err)
	}
	if text := log.String(); !strings.Contains(text, "left out") || strings.Contains(text, "s3cret") {
		t.Errorf("log: %s", text)
	}
}

// TestUnverifiedMailServer is told neither a password nor a message.
func TestUnverifiedMailServer(t *testing.T) {
	t.Parallel()
	for _, s := range []*smtpServer{{startTLS: true, auth: "PLAIN"}, {implicit: true, auth: "PLAIN"}} {
		s.start(t)
		err := s.mailTo(t, func(c *events.MailConfig) { c.Roots = nil }).Deliver(t.Context(), event(vault.EventExpired))
		if err == nil || len(s.take()) > 0 {
			t.Errorf("%v", err)
		}
		s.mu.Lock()
		for _, c := range s.commands {
			if strings.HasPrefix(c, "AUTH") {
				t.Error("it was told the password")
			}
		}
		s.mu.Unlock()
	}
}

// TestSlowMailServer: the end of the context ends a session, wherever it is.
func TestSlowMailServer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := (&smtpServer{}).start(t)
	m := s.mailTo(t, func(c *events.MailConfig) { c.Server = silent.Addr().String() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := m.Deliver(ctx, event(vault.EventExpired)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestMailConfig(t *testing.T) {
	t.Parallel()
	good := events.MailConfig{Server: "smtp.example.com", From: "vault@example.com", Contacts: contacts(), Vault: vaultURL}
	if _, err := events.NewMail(good); err != nil {
		t.Fatal(err)
	}
	for what, edit := range map[string]func(*events.MailConfig){
		"no server":               func(c *events.MailConfig) { c.Server = "" },
		"a URL":                   func(c *events.MailConfig) { c.Server = "smtp://smtp.example.com" },
		"no port behind a colon":  func(c *events.MailConfig) { c.Server = "smtp.example.com:" },
		"no sender":               func(c *events.MailConfig) { c.From = "" },
		"two senders":             func(c *events.MailConfig) { c.From = "a@example.com, b@example.com" },
		"a sender with a newline": func(c *events.MailConfig) { c.From = "a@example.com\r\nBcc: b@example.com" },
		"a password for nobody":   func(c *events.MailConfig) { c.Password = "x" },
		"a user without password": func(c *events.MailConfig) { c.Username = "x" },
		"nobody to write to":      func(c *events.MailConfig) { c.Contacts = nil },
		"no vault":                func(c *events.MailConfig) { c.Vault = "" },
	} {
		c := good
		edit(&c)
		if _, err := events.NewMail(c); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
