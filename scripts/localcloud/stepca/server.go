package stepca

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
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
	client  *http.Client
}

// stopGrace is how long the program may take to end. Its data is thrown away.
const stopGrace = 2 * time.Second

// Start installs step-ca when needed, starts it with new keys and an empty
// database, and returns when it answers. ctx bounds the start only; the server
// runs until Stop, or until this process ends.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	tree, err := cfg.Checkout.OrHere()
	if err != nil {
		return nil, err
	}
	path, err := Install(ctx, tree)
	if err != nil {
		return nil, err
	}
	s, err := supervise.OnPorts(ctx, []int{0}, func(ports []int) (*Server, error) {
		return start(ctx, cfg, path, ports[0])
	})
	if err != nil {
		return nil, fmt.Errorf("starting step-ca: %w", err)
	}
	return s, nil
}

func start(ctx context.Context, cfg Config, path string, port int) (*Server, error) {
	s := &Server{port: port}
	var err error
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
	s.client = loopback.NewClient(pool)
	arguments := []string{s.file("ca.json")}
	if cfg.Resolver != "" {
		arguments = append(arguments, "--resolver", cfg.Resolver)
	}
	if cfg.HTTPPort != 0 {
		arguments = append(arguments, "--insecure", "--acme-http-port", strconv.Itoa(cfg.HTTPPort))
	}
	cmd := exec.Command(path, arguments...)
	cmd.Env = append(os.Environ(), "STEPPATH="+s.dir)
	var err error
	s.process, err = supervise.StartReady(ctx, cmd, stopGrace, nil, s.probe)
	return err
}

// probe reports whether the server answers. Its certificate, whose root is new,
// proves that whoever answers is it.
func (s *Server) probe(ctx context.Context) error {
	_, err := s.get(ctx, "/health")
	return err
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
		"address":  loopback.Address(s.port),
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

// URL is where the server is, without a slash at the end.
func (s *Server) URL() string { return "https://" + loopback.Address(s.port) }

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
	return loopback.Get(ctx, s.client, s.URL()+path)
}

// PID returns the id of the process.
func (s *Server) PID() int { return s.process.PID() }

// Stop ends the process and removes its files.
func (s *Server) Stop() error {
	s.client.CloseIdleConnections()
	return errors.Join(s.process.Stop(), os.RemoveAll(s.dir))
}
