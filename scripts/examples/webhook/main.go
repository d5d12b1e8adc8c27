// Command webhook is an example of a CA behind Certwright's webhook contract
// (docs/webhook.md): it signs with a key in a file and keeps its requests in a
// folder. Put another CA's tool in the place of sign.
package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

func main() {
	var s server
	listen := flag.String("listen", "127.0.0.1:8446", "address to listen on")
	cert, key := flag.String("tls-cert", "tls.pem", "certificate of this server"), flag.String("tls-key", "tls-key.pem", "its key")
	caCert, caKey := flag.String("ca-cert", "ca.pem", "certificate of the CA"), flag.String("ca-key", "ca-key.pem", "its key")
	secret := flag.String("secret", "secret", "file of the secret that signs requests: credentials.pwd of the issuer")
	flag.StringVar(&s.keyID, "key-id", "certwright", "name of the secret: credentials.account_id of the issuer")
	flag.StringVar(&s.dir, "dir", "requests", "folder of the requests")
	flag.StringVar(&s.domain, "domain", "example.com", "names in and below this domain are certified, no others")
	flag.DurationVar(&s.delay, "delay", 0, "how long requests are pending, as if people decided")
	flag.Parse()
	pair, err := tls.LoadX509KeyPair(*caCert, *caKey)
	text, err2 := os.ReadFile(*secret)
	listener, err3 := net.Listen("tcp", *listen)
	if err := errors.Join(err, err2, err3, os.MkdirAll(s.dir, 0o700)); err != nil {
		log.Fatal(err)
	}
	s.ca, s.signer, s.secret = pair.Leaf, pair.PrivateKey.(crypto.Signer), bytes.TrimSpace(text)
	fmt.Println("https://" + listener.Addr().String())
	web := &http.Server{Handler: s.handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	log.Fatal(web.ServeTLS(listener, *cert, *key))
}

// server is the CA with its endpoint.
type server struct {
	ca     *x509.Certificate
	signer crypto.Signer
	keyID  string
	secret []byte
	dir    string
	domain string
	delay  time.Duration

	mu sync.Mutex // one change at a time
}

// request is what is kept of a request, in DIR/ID.json.
type request struct {
	CSR       string    `json:"csr"`
	Serial    []byte    `json:"serial"` // chosen before anything is signed
	Made      time.Time `json:"made"`
	Cancelled bool      `json:"cancelled"`
	Chain     []string  `json:"chain"`
}

// refusal is an answer other than a request's state.
type refusal struct {
	status int
	title  string
}

func (r refusal) Error() string { return r.title }

// handler authenticates every request and answers with what its function
// returns: a JSON value, nothing, or an error.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(r *http.Request, body []byte) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 256<<10))
			if err != nil {
				err = refusal{http.StatusRequestEntityTooLarge, err.Error()}
			} else if err = verify(r, body, s.keyID, s.secret, time.Now()); err != nil {
				err = refusal{http.StatusUnauthorized, err.Error()}
			}
			var answer any
			if err == nil {
				s.mu.Lock()
				answer, err = f(r, body)
				s.mu.Unlock()
			}
			write(w, answer, err)
		})
	}
	handle("POST /v1/requests", s.post)
	handle("GET /v1/requests/{id}", func(r *http.Request, _ []byte) (any, error) { return s.state(r.PathValue("id")) })
	handle("DELETE /v1/requests/{id}", s.cancel)
	handle("/", func(*http.Request, []byte) (any, error) {
		return nil, refusal{http.StatusNotFound, "not here; this CA does not revoke"}
	})
	return mux
}

func write(w http.ResponseWriter, answer any, err error) {
	var r refusal
	switch {
	case errors.As(err, &r):
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(r.status)
		answer = map[string]any{"title": r.title}
	case err != nil:
		log.Print(err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		w.Header().Set("Content-Type", "application/json")
	}
	json.NewEncoder(w).Encode(answer)
}

// post makes a request, unless it is there.
func (s *server) post(r *http.Request, body []byte) (any, error) {
	var in struct{ RequestID, CSR string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, refusal{http.StatusBadRequest, err.Error()}
	}
	if !requestID.MatchString(in.RequestID) || in.RequestID != r.Header.Get("Idempotency-Key") {
		return nil, refusal{http.StatusBadRequest, "requestId is not the Idempotency-Key, 32 hexadecimal digits"}
	}
	known, err := s.load(in.RequestID)
	switch {
	case err == nil && known.CSR != in.CSR:
		return nil, refusal{http.StatusUnprocessableEntity, "another request has this requestId"}
	case errors.Is(err, errUnknown):
		csr, err := parseCSR(in.CSR)
		if err != nil {
			return nil, refusal{http.StatusBadRequest, "csr: " + err.Error()}
		}
		if err := s.allowed(csr); err != nil {
			return nil, refusal{http.StatusForbidden, err.Error()}
		}
		serial := make([]byte, 16)
		rand.Read(serial)
		serial[0] = serial[0]&0x7f | 0x40 // positive, and never shorter
		if err := s.save(in.RequestID, request{CSR: in.CSR, Serial: serial, Made: time.Now()}); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	return s.state(in.RequestID)
}

var requestID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// state is a request's state. The certificate is signed when it is due.
func (s *server) state(id string) (any, error) {
	r, err := s.load(id)
	switch {
	case err != nil:
		return nil, err
	case r.Cancelled:
		return map[string]any{"status": "failed", "error": map[string]string{"title": "Cancelled"}}, nil
	case r.Chain == nil && time.Since(r.Made) < s.delay:
		return map[string]any{"status": "pending", "externalId": hex.EncodeToString(r.Serial), "detail": "People decide."}, nil
	case r.Chain == nil:
		if r.Chain, err = s.sign(r); err != nil {
			return nil, err
		}
		if err := s.save(id, r); err != nil {
			return nil, err
		}
	}
	return map[string]any{"status": "issued", "externalId": hex.EncodeToString(r.Serial), "chain": r.Chain}, nil
}

// cancel takes a request back.
func (s *server) cancel(r *http.Request, _ []byte) (any, error) {
	id := r.PathValue("id")
	request, err := s.load(id)
	if err != nil {
		return nil, err
	}
	if request.Chain != nil {
		return nil, refusal{http.StatusConflict, "the certificate is made"}
	}
	request.Cancelled = true
	return nil, s.save(id, request)
}

// allowed refuses names outside of the domain.
func (s *server) allowed(csr *x509.CertificateRequest) error {
	if len(csr.EmailAddresses)+len(csr.IPAddresses)+len(csr.URIs) > 0 {
		return errors.New("this CA certifies DNS names only")
	}
	for _, name := range append([]string{csr.Subject.CommonName}, csr.DNSNames...) {
		if name != "" && name != s.domain && !strings.HasSuffix(name, "."+s.domain) {
			return fmt.Errorf("%q is not in %s", name, s.domain)
		}
	}
	return nil
}

// sign makes the certificate. The same request gives the same certificate.
func (s *server) sign(r request) ([]string, error) {
	csr, err := parseCSR(r.CSR)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(r.Serial),
		Subject:      csr.Subject,
		DNSNames:     csr.DNSNames,
		NotBefore:    r.Made.Add(-5 * time.Minute),
		NotAfter:     r.Made.AddDate(0, 0, 90),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(nil, template, s.ca, csr.PublicKey, s.signer)
	if err != nil {
		return nil, err
	}
	return []string{encode(der), encode(s.ca.Raw)}, nil
}

func encode(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func parseCSR(text string) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("not a certificate request in PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return csr, csr.CheckSignature()
}

var errUnknown = refusal{http.StatusNotFound, "unknown request"}

func (s *server) load(id string) (request, error) {
	var r request
	if !requestID.MatchString(id) {
		return r, errUnknown
	}
	text, err := os.ReadFile(filepath.Join(s.dir, id+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return r, errUnknown
	}
	return r, errors.Join(err, json.Unmarshal(text, &r))
}

// save replaces the file at once, so that a crash leaves the old or the new one.
func (s *server) save(id string, r request) error {
	text, err := json.Marshal(r)
	file := filepath.Join(s.dir, id+".json")
	if err := errors.Join(err, os.WriteFile(file+".new", text, 0o600)); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
