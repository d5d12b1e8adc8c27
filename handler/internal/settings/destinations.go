package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/events"
	"github.com/certwright/certwright/handler/internal/vault"
)

// A Destination is one member of the JSON object CERTWRIGHT_EVENTS. Its name
// is how events on their way to it are listed; it has one member, how they get
// there:
//
//	{"siem": {"https": {"url": "https://siem.example.com/certificates", "keySetting": "SIEM_KEY"}},
//	 "mail": {"smtp": {"server": "smtp.example.com", "from": "Certwright <vault@example.com>",
//	                   "username": "certwright", "passwordSetting": "SMTP_PASSWORD"}}}
//
// Secrets are in app settings of their own, which are named here.
type Destination struct {
	HTTPS *endpointConfig `json:"https"`
	SMTP  *mailConfig     `json:"smtp"`
}

// endpointConfig is an endpoint that takes CloudEvents. Files are PEM.
type endpointConfig struct {
	URL        string            `json:"url"`
	URLSetting string            `json:"urlSetting"` // instead: app setting that holds the URL, when that is a secret
	KeySetting string            `json:"keySetting"` // app setting that holds the key of signatures
	Types      []vault.EventType `json:"types"`      // unless set: all
	Roots      string            `json:"roots"`      // file of certificates that verify the endpoint

	key string // the setting's value
}

// mailConfig is a mail server that takes messages to the vault's contacts.
type mailConfig struct {
	Server          string `json:"server"` // host or host:port
	TLS             bool   `json:"tls"`    // from the start, as on port 465; else STARTTLS
	From            string `json:"from"`
	Username        string `json:"username"`
	PasswordSetting string `json:"passwordSetting"` // app setting that holds the password
	Roots           string `json:"roots"`

	password string // the setting's value
}

// parseDestinations reads CERTWRIGHT_EVENTS by name. An unknown member is an
// error: it is a misspelt one.
func parseDestinations(getenv func(string) string) (map[string]Destination, error) {
	text := getenv("CERTWRIGHT_EVENTS")
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var destinations map[string]Destination
	if err := decoder.Decode(&destinations); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("more follows after the object")
	}
	for name, d := range destinations {
		var err error
		switch {
		case (d.HTTPS == nil) == (d.SMTP == nil):
			err = errors.New("must have one of https and smtp")
		case d.HTTPS != nil:
			err = d.HTTPS.readSettings(getenv)
		default:
			err = d.SMTP.readSettings(getenv)
		}
		if err != nil {
			return nil, fmt.Errorf("destination %q: %w", name, err)
		}
		filesFolder(getenv(filesName)).resolve(d.files()...)
	}
	return destinations, nil
}

func (c *endpointConfig) readSettings(getenv func(string) string) (err error) {
	if (c.URL == "") == (c.URLSetting == "") {
		return errors.New("must have one of url and urlSetting")
	}
	if c.KeySetting == "" {
		return errors.New("must have a keySetting, which names the app setting with the key of signatures")
	}
	if c.URLSetting != "" {
		if c.URL, err = namedSetting(getenv, c.URLSetting); err != nil {
			return err
		}
	}
	c.key, err = namedSetting(getenv, c.KeySetting)
	return err
}

func (c *mailConfig) readSettings(getenv func(string) string) (err error) {
	if c.PasswordSetting != "" {
		c.password, err = namedSetting(getenv, c.PasswordSetting)
	}
	return err
}

// namedSetting reads an app setting that another one names.
func namedSetting(getenv func(string) string, name string) (string, error) {
	value := getenv(name)
	if value == "" {
		return "", fmt.Errorf("the setting %s, which it names, is not set", name)
	}
	return value, nil
}

// loopback reports whether the destination is on this machine.
func (c Destination) loopback() bool {
	if c.HTTPS != nil {
		return azstore.Loopback(c.HTTPS.URL)
	}
	host, _, err := net.SplitHostPort(c.SMTP.Server)
	if err != nil {
		host = c.SMTP.Server
	}
	return azstore.Loopback((&url.URL{Scheme: "smtp", Host: net.JoinHostPort(host, "25")}).String())
}

// OpenDestinations makes the destinations of events. contacts are asked for when
// a message is written.
func (s Settings) OpenDestinations(contacts func(context.Context) ([]vault.Contact, error), log *slog.Logger) (map[string]vault.Destination, error) {
	destinations := make(map[string]vault.Destination)
	for name, d := range s.Destinations {
		var err error
		if d.HTTPS != nil {
			destinations[name], err = d.HTTPS.open(name, s.vaultURL())
		} else {
			destinations[name], err = d.SMTP.open(s.vaultURL(), contacts, log)
		}
		if err != nil {
			return nil, fmt.Errorf("CERTWRIGHT_EVENTS: destination %q: %w", name, err)
		}
	}
	return destinations, nil
}

// vaultURL is the vault's URL for messages that no request causes: the first that
// is not a pattern.
func (s Settings) vaultURL() string {
	for _, u := range s.VaultURLs {
		if !strings.Contains(u, "*") {
			return u
		}
	}
	return ""
}

func (c *endpointConfig) open(name, vaultURL string) (vault.Destination, error) {
	roots, err := readRoots(c.Roots)
	if err != nil {
		return nil, err
	}
	return events.NewEndpoint(events.EndpointConfig{
		URL: c.URL, KeyID: name, Key: []byte(c.key), Types: c.Types, Roots: roots, Vault: vaultURL,
	})
}

func (c *mailConfig) open(vaultURL string, contacts func(context.Context) ([]vault.Contact, error), log *slog.Logger) (vault.Destination, error) {
	roots, err := readRoots(c.Roots)
	if err != nil {
		return nil, err
	}
	return events.NewMail(events.MailConfig{
		Server: c.Server, ImplicitTLS: c.TLS, From: c.From, Username: c.Username, Password: c.password,
		Roots: roots, Contacts: contacts, Vault: vaultURL, Log: log,
	})
}
