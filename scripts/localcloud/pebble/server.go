package pebble

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/scripts/localcloud/checkout"
	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

// Config says how to run Pebble. Everything but Challenges may be zero: the
// server is then strict, quick and accepts every nonce.
type Config struct {
	// Checkout is where the programs are installed; zero: the working copy that
	// the working directory lies in.
	Checkout checkout.Checkout
	// Challenges is where names are looked up and HTTP-01 is asked.
	Challenges *Challenges
	// Port of the ACME server on 127.0.0.1; 0: any free one.
	Port int
	// TLS is the certificate of the server; nil: one of its own.
	TLS *tls.Certificate
	// MACKeys are the external accounts by key identifier, base64url. If there
	// are any, a new account needs one.
	MACKeys map[string]string
	// Blocked are domains for which orders are refused.
	Blocked []string
	// Profiles by name; nil: "default", of 90 days.
	Profiles map[string]Profile
	// RetryAfter is what a pending authorization and a processing order ask for;
	// whole seconds, 0: nothing.
	RetryAfter time.Duration
	// ValidationTime is the most that a validation takes, at random; whole
	// seconds, 0: none.
	ValidationTime time.Duration
	// NonceReject and AuthorizationReuse are in percent.
	NonceReject, AuthorizationReuse int
	// AlternateRoots is the number of chains besides the first.
	AlternateRoots int
	// Output receives what the server prints; nil: nobody.
	Output io.Writer
}

// Profile is a kind of certificate that orders may ask for.
type Profile struct {
	Description    string `json:"description"`
	ValidityPeriod int    `json:"validityPeriod"` // in seconds
}

// Server is a running Pebble.
type Server struct {
	process          *supervise.Process
	dir              string // of its files, removed at the end
	port, management int
	tls              *tls.Certificate
	client           *http.Client
}

// Start installs Pebble when needed, starts it and returns when it answers. ctx
// bounds the start only; the server runs until Stop, or until this process ends.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	program, err := find(ctx, cfg.Checkout, serverProgram)
	if err != nil {
		return nil, err
	}
	if cfg.TLS == nil {
		if cfg.TLS, err = newCertificate(time.Now()); err != nil {
			return nil, fmt.Errorf("starting pebble: %w", err)
		}
	}
	s, err := supervise.OnPorts(ctx, []int{cfg.Port, 0}, func(ports []int) (*Server, error) {
		return start(ctx, cfg, program, ports)
	})
	if err != nil {
		return nil, fmt.Errorf("starting pebble: %w", err)
	}
	return s, nil
}

// stopGrace is how long a program may take to end. They have nothing to save.
const stopGrace = 2 * time.Second

func start(ctx context.Context, cfg Config, program string, ports []int) (*Server, error) {
	s := &Server{port: ports[0], management: ports[1], tls: cfg.TLS}
	s.client = loopback.NewClient(s.Roots())
	var err error
	if s.dir, err = os.MkdirTemp("", "pebble-"); err != nil {
		return nil, err
	}
	if err := s.writeFiles(cfg); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	cmd := exec.Command(program, "-strict", "-config", s.configFile(), "-dnsserver", cfg.Challenges.DNS())
	cmd.Env = os.Environ()
	for name, value := range cfg.variables() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if s.process, err = supervise.StartReady(ctx, cmd, stopGrace, cfg.Output, s.probe); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// variables are the settings that Pebble takes from its environment.
func (cfg Config) variables() map[string]string {
	variables := map[string]string{
		"PEBBLE_WFE_NONCEREJECT": strconv.Itoa(cfg.NonceReject),
		"PEBBLE_AUTHZREUSE":      strconv.Itoa(cfg.AuthorizationReuse),
		"PEBBLE_ALTERNATE_ROOTS": strconv.Itoa(cfg.AlternateRoots),
		"PEBBLE_CHAIN_LENGTH":    "2",
	}
	if cfg.ValidationTime == 0 {
		variables["PEBBLE_VA_NOSLEEP"] = "1"
	} else {
		variables["PEBBLE_VA_SLEEPTIME"] = strconv.Itoa(int(cfg.ValidationTime / time.Second))
	}
	return variables
}

func (s *Server) configFile() string { return filepath.Join(s.dir, "config.json") }

// writeFiles writes the configuration (format: Pebble's test/config) and the
// server's certificate and key.
func (s *Server) writeFiles(cfg Config) error {
	key, err := x509.MarshalPKCS8PrivateKey(s.tls.PrivateKey)
	if err != nil {
		return err
	}
	profiles := cfg.Profiles
	if profiles == nil {
		profiles = map[string]Profile{"default": {"90 days", 90 * 24 * 60 * 60}}
	}
	seconds := int(cfg.RetryAfter / time.Second)
	certificateFile, keyFile := filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress":                  loopback.Address(s.port),
		"managementListenAddress":        loopback.Address(s.management),
		"certificate":                    certificateFile,
		"privateKey":                     keyFile,
		"httpPort":                       cfg.Challenges.http,
		"externalAccountBindingRequired": len(cfg.MACKeys) > 0,
		"externalAccountMACKeys":         cfg.MACKeys,
		"domainBlocklist":                cfg.Blocked,
		"retryAfter":                     map[string]int{"authz": seconds, "order": seconds},
		"keyAlgorithm":                   "ecdsa",
		"profiles":                       profiles,
	}})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(s.configFile(), config, 0o600),
		os.WriteFile(certificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.tls.Certificate[0]}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
	)
}

// probe reports whether both listeners answer. The server's certificate proves
// that they are its own.
func (s *Server) probe(ctx context.Context) error {
	_, err := loopback.Get(ctx, s.client, s.DirectoryURL())
	if err == nil {
		_, err = s.Root(ctx, 0)
	}
	return err
}

// DirectoryURL returns the URL of the ACME directory.
func (s *Server) DirectoryURL() string { return "https://" + loopback.Address(s.port) + "/dir" }

// Port returns the port of the ACME server.
func (s *Server) Port() int { return s.port }

// TLS returns the certificate of the server, for a restart or a proxy.
func (s *Server) TLS() *tls.Certificate { return s.tls }

// Roots returns what a client of the server trusts.
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.tls.Leaf)
	return pool
}

// Root returns the root of one of the chains of issued certificates: 0 is the
// first, alternates follow.
func (s *Server) Root(ctx context.Context, chain int) (*x509.Certificate, error) {
	content, err := loopback.Get(ctx, s.client, fmt.Sprintf("https://%s/roots/%d", loopback.Address(s.management), chain))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("reading root %d: no PEM", chain)
	}
	return x509.ParseCertificate(block.Bytes)
}

// Revoked reports whether a certificate that the server issued is revoked.
func (s *Server) Revoked(ctx context.Context, c *x509.Certificate) (bool, error) {
	content, err := loopback.Get(ctx, s.client, fmt.Sprintf("https://%s/cert-status-by-serial/%x", loopback.Address(s.management), c.SerialNumber))
	if err != nil {
		return false, err
	}
	var status struct{ Status string }
	if err := json.Unmarshal(content, &status); err != nil {
		return false, fmt.Errorf("reading the status of %x: %w", c.SerialNumber, err)
	}
	return status.Status == "Revoked", nil
}

// SetRenewalInfo makes the server answer requests for a certificate's renewal
// information with this text (RFC 9773 section 4.2), whatever it is.
func (s *Server) SetRenewalInfo(ctx context.Context, c *x509.Certificate, answer string) error {
	return post(ctx, s.client, "https://"+loopback.Address(s.management)+"/set-renewal-info/", map[string]string{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})),
		"ariResponse": answer,
	})
}

// PID returns the id of the process.
func (s *Server) PID() int { return s.process.PID() }

// Stop ends the process and removes its files.
func (s *Server) Stop() error {
	s.client.CloseIdleConnections()
	return errors.Join(s.process.Stop(), os.RemoveAll(s.dir))
}
