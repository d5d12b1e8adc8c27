package e2e

// The official clients in five languages.

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

// conformanceWritten says, where it is set, that all clients are to be run and the
// matrix to be written. Where it is not, the document that is there is what the
// clients must meet that are always run.
const conformanceWritten = "CERTWRIGHT_CONFORMANCE"

// clientLimit bounds a client's program, most of which is its pollers' pauses.
const clientLimit = 8 * time.Minute

// missingError is that of a client that this machine does not have.
type missingError struct {
	why string // for the document
	err error  // what happened; nil: nothing else
}

func (e *missingError) Error() string { return fmt.Sprintf("%s: %v", e.why, e.err) }

// client is a program of an official client.
type client struct {
	name string
	// command is the program, to be followed by the prefix of names and by parts of
	// the operations. Its error is a missingError when the machine lacks the client.
	command func() ([]string, error)
	// always says that the README asks for what the client needs; others are run
	// when the matrix is written only, because of the time that they take.
	always bool
	// more is what its environment needs besides; nil: nothing.
	more func(testing.TB, *cloud) []string
}

var clients = []client{
	{"Python", pythonClient("sync"), true, nil},
	{"Python, asynchronous", pythonClient("async"), true, nil},
	{"JavaScript", javascriptClient, true, nil},
	{"Go", goClient, true, nil},
	{"Java", javaClient, false, javaTrust},
	{"Azure CLI", azureCLIClient, false, resourceManager},
}

// contactsMutex is for a vault's contacts, of which there is one set for all clients.
var contactsMutex sync.Mutex

// TestConformance: the official clients, as they come from their registries, run all
// operations in a shell that has sourced the local cloud's settings. Their
// verification of the challenge's resource is on.
func TestConformance(t *testing.T) {
	t.Parallel()
	source := need(t, tree)
	document := filepath.Join(source.Root, "docs", "conformance.md")
	writes := os.Getenv(conformanceWritten) != ""
	before, err := os.ReadFile(document)
	if err != nil && !(writes && errors.Is(err, os.ErrNotExist)) {
		t.Fatal(err)
	}
	environ := []string{
		"CERTWRIGHT_E2E_CA=" + need(t, certificateAuthority).serve(t),
		"CERTWRIGHT_E2E_MATERIAL=" + need(t, material),
	}
	var found matrix
	t.Run("clients", func(t *testing.T) {
		for _, client := range clients {
			if !client.always && !writes {
				continue
			}
			c := &column{client: client.name, outcomes: map[string]outcome{}}
			found = append(found, c)
			t.Run(client.name, func(t *testing.T) {
				t.Parallel()
				c.fill(t, client, environ)
				known := documented(string(before), client.name)
				if writes {
					known = nil
				}
				c.compare(t, known)
			})
		}
	})
	if writes {
		if err := os.WriteFile(document, []byte(found.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// fill runs a client's program.
func (c *column) fill(t testing.TB, client client, environ []string) {
	command, err := client.command()
	if missing, ok := errors.AsType[*missingError](err); ok {
		t.Log(err)
		c.missing = missing.why
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	cloud := need(t, localCloud)
	if client.more != nil {
		environ = slices.Concat(environ, client.more(t, cloud))
	}
	prefix := newVaultID()
	run := func(parts ...string) {
		output, err := cloud.run(t.Context(), "", environ, slices.Concat(command, []string{prefix}, parts)...)
		if err = errors.Join(err, c.read(output, prefix)); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
	}
	var parts []string
	for _, section := range operations {
		if section.part != "contacts" {
			parts = append(parts, section.part)
		}
	}
	run(parts...)
	contactsMutex.Lock()
	defer contactsMutex.Unlock()
	run("contacts")
}

// compare reports what did not pass, unless the document says so.
func (c *column) compare(t testing.TB, before map[string]string) {
	for _, section := range operations {
		for _, name := range section.names {
			got := c.of(name)
			switch was := before[name]; {
			case got.what == failed && was == failed:
				t.Logf("%s: %s, as documented: %s", name, got.what, got.why)
			case got.what == failed:
				t.Errorf("%s: %s: %s", name, got.what, got.why)
			case got.what == notOffered && was == passed:
				t.Errorf("%s: %s (%s), but docs/conformance.md says that it passed", name, got.what, got.why)
			}
		}
	}
}

func pythonClient(flavour string) func() ([]string, error) {
	return func() ([]string, error) {
		interpreter, err := python()
		return []string{interpreter, filepath.Join(filepath.Dir(interpreter), "..", "..", "conformance.py"), flavour}, err
	}
}

func javascriptClient() ([]string, error) {
	dir, err := javascript()
	return []string{"node", filepath.Join(dir, "conformance.js")}, err
}

// goClient is the program of the Go client.
var goClient = once(func(ctx context.Context) ([]string, error) {
	dir, err := scratch()
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "goclient")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", program, "./clients/go")
	message, err := build.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("building the Go client: %w\n%s", err, message)
	}
	return []string{program}, nil
})

func azureCLIClient() ([]string, error) {
	interpreter, err := azureCLI()
	return []string{interpreter, filepath.Join(filepath.Dir(interpreter), "..", "..", "conformance.py")}, err
}

func javaClient() ([]string, error) {
	classPath, err := java()
	return []string{"java", "-cp", classPath, "Conformance"}, err
}

// javaTrust leads the Java clients to the cloud: they do not know the variables that
// others do.
func javaTrust(t testing.TB, cloud *cloud) []string {
	t.Helper()
	proxy, err := url.Parse(cloud.setting("HTTPS_PROXY"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile(cloud.setting("SSL_CERT_FILE"))
	if err != nil {
		t.Fatal(err)
	}
	var roots []*x509.Certificate
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if root, err := x509.ParseCertificate(block.Bytes); err == nil {
			roots = append(roots, root) // Java knows fewer kinds of certificates than a machine may trust
		}
	}
	const password = "changeit" // Java's own; there is no secret inside
	store, err := pkcs12.Modern.EncodeTrustStore(roots, password)
	if err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(t.TempDir(), "trusted.p12")
	if err := os.WriteFile(trusted, store, 0o600); err != nil {
		t.Fatal(err)
	}
	options := []string{
		"-Dhttps.proxyHost=" + proxy.Hostname(), "-Dhttps.proxyPort=" + proxy.Port(), "-Dhttp.nonProxyHosts=localhost|127.0.0.1",
		"-Djavax.net.ssl.trustStore=" + trusted, "-Djavax.net.ssl.trustStoreType=PKCS12",
		"-Djavax.net.ssl.trustStorePassword=" + password,
	}
	return []string{"JAVA_TOOL_OPTIONS=" + strings.Join(options, " ")}
}

// run runs a program to its end as a client of the cloud: its environment is the
// settings, and what more says. It returns all that the program printed.
func (c *cloud) run(ctx context.Context, input string, more []string, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, clientLimit)
	defer cancel()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(append(slices.Clip(c.environ), "PYTHONDONTWRITEBYTECODE=1"), more...)
	cmd.Stdin = strings.NewReader(input)
	var output transcript
	cmd.Stdout, cmd.Stderr = &output, &output
	process, err := supervise.Start(cmd, 0)
	if err != nil {
		return "", err
	}
	select {
	case <-process.Done():
		return output.String(), process.Err()
	case <-ctx.Done():
		return output.String(), errors.Join(context.Cause(ctx), process.Stop())
	}
}
