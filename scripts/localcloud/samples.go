package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/certwright/certwright/handler/localcloud/localca"
	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/handler/localcloud/state"
	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

// The samples' folders, below that of files: their own keys and certificates, and
// what the handler needs to know of them.
const (
	webhookName  = "webhook"
	receiverName = "receiver"
)

// sampleGrace is how long a sample may take to end.
const sampleGrace = 3 * time.Second

// webhookSample runs the example of a CA behind a webhook.
func webhookSample(ctx context.Context, args []string, std streams) error {
	return runSample(ctx, webhookName, 8446, args, std, func(s sample) (*exec.Cmd, error) {
		if err := s.makeCA(); err != nil {
			return nil, err
		}
		if err := s.makeSecret("secret"); err != nil {
			return nil, err
		}
		program := s.place.tree.Local("bin", webhookName)
		build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", program, "./scripts/examples/webhook")
		build.Dir = s.place.tree.Root
		if message, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the sample: %w\n%s", err, message)
		}
		fmt.Fprintf(std.out, `A CA behind a webhook, for names in and below example.com. Start the local cloud so:

  export CERTWRIGHT_PROVIDERS='{"Portal":{"webhook":{"url":%q,"roots":"webhook/roots.pem"}}}'
  make run

and in a shell that has sourced .local/env, beside docs/issuers.md:

  curl -sX PUT "$CERTWRIGHT_URL/certificates/issuers/portal?api-version=7.4" -H "Authorization: Bearer $(make -s token)" \
       -d '{"provider":"Portal","credentials":{"account_id":"certwright","pwd":"'"$(cat %s)"'"}}'
  make webhook-check    # whether the sample keeps the contract of docs/webhook.md

`, s.url(), s.path("secret"))
		return exec.Command(program, "-listen", loopback.Address(s.port), "-tls-cert", s.path("tls.pem"), "-tls-key", s.path("tls-key.pem"),
			"-ca-cert", s.path("ca.pem"), "-ca-key", s.path("ca-key.pem"), "-secret", s.path("secret"), "-dir", s.path("requests")), nil
	})
}

// receiverSample runs the example of an endpoint that takes events.
func receiverSample(ctx context.Context, args []string, std streams) error {
	return runSample(ctx, receiverName, 8447, args, std, func(s sample) (*exec.Cmd, error) {
		if err := s.makeSecret("key"); err != nil {
			return nil, err
		}
		key, err := os.ReadFile(s.path("key"))
		if err != nil {
			return nil, err
		}
		keys, err := json.Marshal(map[string]string{"local": string(key)})
		if err != nil {
			return nil, err
		}
		if err := s.files().Write("keys.json", keys); err != nil {
			return nil, err
		}
		fmt.Fprintf(std.out, `An endpoint that prints the events that it takes. Start the local cloud so:

  export CERTWRIGHT_EVENTS='{"local":{"https":{"url":%q,"keySetting":"LOCAL_EVENTS_KEY","roots":"receiver/roots.pem"}}}'
  export LOCAL_EVENTS_KEY="$(cat %s)"
  make run

`, s.url()+"/events", s.path("key"))
		return exec.Command("python3", filepath.Join(s.place.tree.Root, "scripts", "examples", "events", "receiver.py"),
			"--port", strconv.Itoa(s.port), "--certificate", s.path("tls.pem"), "--private-key", s.path("tls-key.pem"), "--keys", s.path("keys.json")), nil
	})
}

// sample is a server beside the local cloud.
type sample struct {
	place place
	name  string
	port  int
}

// runSample prepares a sample and runs it until ctx ends.
func runSample(ctx context.Context, name string, number int, args []string, std streams, prepare func(sample) (*exec.Cmd, error)) error {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	where := placeFlag(flags)
	chosen := port{number: number, flag: "port"}
	flags.IntVar(&chosen.number, chosen.flag, chosen.number, "`port` to listen on; 0: a free one")
	if err := parse(flags, args, std); err != nil {
		return err
	}
	p, err := where()
	if err != nil {
		return err
	}
	if err := chosen.probe(); err != nil {
		return err
	}
	s := sample{place: p, name: name, port: chosen.number}
	if err := s.makeTLS(time.Now()); err != nil {
		return err
	}
	cmd, err := prepare(s)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = std.out, std.err
	process, err := supervise.Start(cmd, sampleGrace)
	if err != nil {
		return err
	}
	select {
	case <-process.Done():
		if err := process.Err(); err != nil {
			return fmt.Errorf("the sample ended by itself: %w", err)
		}
		return nil
	case <-ctx.Done():
		return process.Stop()
	}
}

func (s sample) url() string { return "https://localhost:" + strconv.Itoa(s.port) }

func (s sample) files() state.Folder { return state.Folder(s.place.state.Local(filesName, s.name)) }

func (s sample) path(name string) string { return s.files().Path(name) }

// makeTLS makes a certificate for the server, of the local authority, and the file
// by which the handler trusts it.
func (s sample) makeTLS(now time.Time) error {
	authority, err := localca.Open(s.place.state.State(), now)
	if err != nil {
		return err
	}
	leaf, err := authority.Leaf(now)
	if err != nil {
		return err
	}
	if err := s.writeCertificates("tls.pem", leaf.Certificate...); err != nil {
		return err
	}
	if err := s.writeKey("tls-key.pem", leaf.PrivateKey); err != nil {
		return err
	}
	return s.writeCertificates("roots.pem", authority.Certificate().Raw)
}

// makeCA makes the CA of the sample, once.
func (s sample) makeCA() error {
	if _, err := os.Stat(s.path("ca.pem")); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Certwright sample CA, do not install"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("making the sample's CA: %w", err)
	}
	if err := s.writeKey("ca-key.pem", key); err != nil {
		return err
	}
	return s.writeCertificates("ca.pem", der)
}

// makeSecret makes the file of a secret, once.
func (s sample) makeSecret(name string) error {
	_, err := s.files().ReadOrCreate(name, func() ([]byte, error) { return []byte(rand.Text() + rand.Text()), nil })
	return err
}

func (s sample) writeCertificates(name string, certificates ...[]byte) error {
	var text []byte
	for _, der := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return s.files().Write(name, text)
}

func (s sample) writeKey(name string, key any) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the sample's key: %w", err)
	}
	return s.files().Write(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
