package events_test

// A mail server that tests control.

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// smtpServer is a small mail server: it speaks SMTP (RFC 5321) with STARTTLS and
// AUTH, checks the order of what it is told, and remembers messages.
type smtpServer struct {
	startTLS bool   // it offers that
	implicit bool   // it begins with TLS
	auth     string // mechanisms that it offers, and demands; empty: none

	// reply, when not nil, is asked what to answer to a command instead of the
	// usual; empty is the usual, "close" ends the connection.
	reply func(command string) string

	listener net.Listener
	config   *tls.Config
	roots    *x509.CertPool

	mu       sync.Mutex
	messages []letter
	commands []string
}

// letter is a message with its envelope.
type letter struct {
	from      string
	to        []string
	data      string
	encrypted bool
	user      string
}

const (
	mailUser     = "apikey"
	mailPassword = "not-a-real-password"
)

func (s *smtpServer) start(t testing.TB) *smtpServer {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate of 127.0.0.1
	s.config = &tls.Config{Certificates: certified.TLS.Certificates}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(certified.Certificate())
	certified.Close()
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() {
				defer conn.Close()
				s.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		s.listener.Close()
		sessions.Wait()
	})
	return s
}

func (s *smtpServer) address() string { return s.listener.Addr().String() }

// take returns the messages since the last call.
func (s *smtpServer) take() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	messages := s.messages
	s.messages = nil
	return messages
}

func (s *smtpServer) serve(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // no test takes as long
	var now letter
	if s.implicit {
		conn, now.encrypted = tls.Server(conn, s.config), true
	}
	in := bufio.NewReader(conn)
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	line := func() (string, bool) {
		text, err := in.ReadString('\n')
		return strings.TrimRight(text, "\r\n"), err == nil
	}
	answered := func(command string) (string, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.commands = append(s.commands, command)
		if s.reply == nil {
			return "", false
		}
		r := s.reply(command)
		return r, r != ""
	}
	if r, ok := answered("greeting"); ok {
		if r == "close" {
			return
		}
		say("%s", r)
	} else {
		say("220 mail.test ESMTP")
	}
	for {
		command, ok := line()
		if !ok {
			return
		}
		if r, ok := answered(command); ok {
			if r == "close" {
				return
			}
			say("%s", r)
			continue
		}
		verb, rest, _ := strings.Cut(command, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			features := []string{"mail.test", "8BITMIME"}
			if s.startTLS && !now.encrypted {
				features = append(features, "STARTTLS")
			}
			if s.auth != "" {
				features = append(features, "AUTH "+s.auth)
			}
			for _, f := range features[:len(features)-1] {
				say("250-%s", f)
			}
			say("250 %s", features[len(features)-1])
		case "STARTTLS":
			say("220 go ahead")
			conn, now.encrypted = tls.Server(conn, s.config), true
			in = bufio.NewReader(conn)
		case "AUTH":
			user, password := s.credentials(rest, say, line)
			if user != mailUser || password != mailPassword {
				say("535 5.7.8 authentication failed")
				continue
			}
			now.user = user
			say("235 welcome")
		case "MAIL":
			switch {
			case s.auth != "" && now.user == "":
				say("530 5.7.0 authentication required")
			default:
				now.from = between(rest)
				now.to = nil
				say("250 sender ok")
			}
		case "RCPT":
			now.to = append(now.to, between(rest))
			say("250 recipient ok")
		case "DATA":
			if now.from == "" || len(now.to) == 0 {
				say("503 bad sequence")
				continue
			}
			say("354 go on")
			now.data = ""
			for {
				text, ok := line()
				if !ok {
					return
				}
				if text == "." {
					break
				}
				now.data += strings.TrimPrefix(text, ".") + "\r\n"
			}
			s.mu.Lock()
			s.messages = append(s.messages, now)
			s.mu.Unlock()
			if r, ok := answered("end of data"); ok {
				if r == "close" {
					return
				}
				say("%s", r)
				continue
			}
			say("250 accepted")
		case "QUIT":
			say("221 bye")
			return
		case "NOOP", "RSET", "*":
			say("250 ok")
		default:
			say("500 %s is not a command", verb)
		}
	}
}

// credentials reads what an AUTH command brings.
func (s *smtpServer) credentials(rest string, say func(string, ...any), line func() (string, bool)) (user, password string) {
	mechanism, initial, _ := strings.Cut(rest, " ")
	if !slices.Contains(strings.Fields(s.auth), mechanism) {
		return "", ""
	}
	if mechanism == "PLAIN" {
		plain, _ := base64.StdEncoding.DecodeString(initial)
		parts := strings.Split(string(plain), "\x00")
		if len(parts) != 3 {
			return "", ""
		}
		return parts[1], parts[2]
	}
	ask := func(what string) string {
		say("334 %s", base64.StdEncoding.EncodeToString([]byte(what)))
		text, _ := line()
		answer, _ := base64.StdEncoding.DecodeString(text)
		return string(answer)
	}
	return ask("Username:"), ask("Password:")
}

// between is what stands between < and >, and all that follows.
func between(s string) string {
	_, s, _ = strings.Cut(s, "<")
	address, parameters, _ := strings.Cut(s, ">")
	if parameters = strings.ReplaceAll(parameters, " BODY=8BITMIME", ""); parameters != "" {
		return address + ">" + parameters
	}
	return address
}
