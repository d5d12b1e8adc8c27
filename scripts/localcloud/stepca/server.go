package stepca

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

// Provisioner is the name of the JWK provisioner.
const Provisioner = "certwright"

// Config says how to run step-ca. All of it may be zero.
type Config struct {
	// Checkout is where the program is installed; zero: the working copy that
	// the working directory lies in.
	Checkout checkout.Checkout
	// MaxValidity is the longest validity of certificates; 24 h, as step-ca has
	// it by itself, when zero.
	MaxValidity time.Duration
	// Resolver is the DNS server, host:port, for the proofs of ACME; empty: the
	// system's.
	Resolver string
	// HTTPPort is where http-01 is asked; 80 when zero.
	HTTPPort int
}

// Server is a running step-ca.
type Server struct {
	process *supervise.Process
	dir     string // of its files, removed at the end
	port    int
	root    *x509.Certificate
	key     []byte // the provisioner's
	client  http.Client
}

const (
	// stopGrace is how long the program may take to end. Its data is thrown away.
	stopGrace = 2 * time.Second
	// readyPoll is how often the starting program is asked whether it is ready.
	readyPoll = 20 * time.Millisecond
	// callTimeout bounds one call of a server on this machine.
	callTimeout = 5 * time.Second
	// starts is how often a start is tried: a free port may be taken by another
	// program before step-ca listens on it.
	starts = 5
	// tailLimit is how much of its output an error repeats, in bytes.
	tailLimit = 1 << 10
	// answerLimit bounds an answer, in bytes.
	answerLimit = 256 << 10
)

// Start installs step-ca when needed, starts it with new keys and an empty
// database, and returns when it answers. ctx bounds the start only; the server
// runs until Stop, or until this process ends.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Checkout.Root == "" {
		var err error
		if cfg.Checkout, err = checkout.Find("."); err != nil {
			return nil, err
		}
	}
	path, err := Install(ctx, cfg.Checkout)
	if err != nil {
		return nil, err
	}
	for range starts {
		var s *Server
		if s, err = try(ctx, cfg, path); err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("starting step-ca: %w", err)
}

func try(ctx context.Context, cfg Config, path string) (*Server, error) {
	s := new(Server)
	var err error
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "stepca-"); err != nil {
		return nil, err
	}
	if err := s.start(ctx, cfg, path); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// start writes the files, runs the program and waits until it answers.
func (s *Server) start(ctx context.Context, cfg Config, path string) error {
	if err := s.writeFiles(cfg); err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.root)
	s.client = http.Client{Timeout: callTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	output, err := os.Create(s.file("output"))
	if err != nil {
		return err
	}
	defer output.Close()
	arguments := []string{s.file("ca.json")}
	if cfg.Resolver != "" {
		arguments = append(arguments, "--resolver", cfg.Resolver)
	}
	if cfg.HTTPPort != 0 {
		arguments = append(arguments, "--insecure", "--acme-http-port", strconv.Itoa(cfg.HTTPPort))
	}
	cmd := exec.Command(path, arguments...)
	cmd.Env = append(os.Environ(), "STEPPATH="+s.dir)
	cmd.Stdout, cmd.Stderr = output, output
	if s.process, err = supervise.Start(cmd, stopGrace); err != nil {
		return err
	}
	return s.awaitReady(ctx)
}

// awaitReady waits until the server answers. Its certificate, whose root is new,
// proves that whoever answers is it.
func (s *Server) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		_, notReady := s.get(ctx, "/health")
		if notReady == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.process.Done():
			return fmt.Errorf("it ended before it was ready: %s", s.tail())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waiting until it is ready: %w: %w: %s", context.Cause(ctx), notReady, s.tail()), s.process.Stop())
		}
	}
}

// tail is the end of what the program has printed.
func (s *Server) tail() []byte {
	text, err := os.ReadFile(s.file("output"))
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(text[max(0, len(text)-tailLimit):])
}

// file is the path of one of the server's files.
func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

// writeFiles makes the CA and writes its configuration (format: step-ca's "ca.json").
func (s *Server) writeFiles(cfg Config) error {
	root, err := newAuthority("step-ca Root", nil, time.Now())
	if err != nil {
		return err
	}
	intermediate, err := newAuthority("step-ca Intermediate", root, time.Now())
	if err != nil {
		return err
	}
	private, public, err := newJWK()
	if err != nil {
		return err
	}
	if s.key, err = json.Marshal(private); err != nil {
		return err
	}
	s.root = root.certificate
	if cfg.MaxValidity == 0 {
		cfg.MaxValidity = 24 * time.Hour
	}
	config, err := json.Marshal(map[string]any{
		"root":     s.file("root.crt"),
		"crt":      s.file("intermediate.crt"),
		"key":      s.file("intermediate.key"),
		"address":  s.address(),
		"dnsNames": []string{"127.0.0.1", "localhost"},
		"db":       map[string]any{"type": "bbolt", "dataSource": s.file("db")},
		"crl":      map[string]any{"enabled": true, "generateOnRevoke": true},
		"authority": map[string]any{
			"claims": map[string]any{"maxTLSCertDuration": cfg.MaxValidity.String()},
			"provisioners": []map[string]any{
				{"type": "JWK", "name": Provisioner, "key": public},
				{"type": "ACME", "name": "acme"},
			},
		},
	})
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(intermediate.key)
	if err != nil {
		return err
	}
	encode := func(blockType string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
	}
	return errors.Join(
		os.WriteFile(s.file("ca.json"), config, 0o600),
		os.WriteFile(s.file("root.crt"), encode("CERTIFICATE", root.certificate.Raw), 0o600),
		os.WriteFile(s.file("intermediate.crt"), encode("CERTIFICATE", intermediate.certificate.Raw), 0o600),
		os.WriteFile(s.file("intermediate.key"), encode("PRIVATE KEY", key), 0o600),
	)
}

// freePort is a port that is free now.
func freePort() (int, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func (s *Server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// URL is where the server is, without a slash at the end.
func (s *Server) URL() string { return "https://" + s.address() }

// DirectoryURL is that of the ACME directory.
func (s *Server) DirectoryURL() string { return s.URL() + "/acme/acme/directory" }

// Root is the certificate that verifies the server and what it issues.
func (s *Server) Root() *x509.Certificate { return s.root }

// Key is the private key of the JWK provisioner: a JWK in JSON.
func (s *Server) Key() string { return string(s.key) }

// Revoked reports whether the server's CRL has a certificate.
func (s *Server) Revoked(ctx context.Context, c *x509.Certificate) (bool, error) {
	content, err := s.get(ctx, "/1.0/crl")
	if err != nil {
		return false, err
	}
	list, err := x509.ParseRevocationList(content)
	if err != nil {
		return false, fmt.Errorf("reading the CRL: %w", err)
	}
	for _, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(c.SerialNumber) == 0 {
			return true, nil
		}
	}
	return false, nil
}

func (s *Server) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+path, nil)
	if err != nil {
		return nil, fmt.Errorf("getting %q: %w", path, err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("getting %q: %w", path, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("getting %q: %s", path, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, answerLimit))
}

// PID returns the id of the process.
func (s *Server) PID() int { return s.process.PID() }

// Stop ends the process and removes its files.
func (s *Server) Stop() error {
	s.client.CloseIdleConnections()
	return errors.Join(s.process.Stop(), os.RemoveAll(s.dir))
}
