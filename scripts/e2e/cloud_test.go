package e2e

// A local cloud that runs for the tests.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/localcloud/identity"
	"github.com/certwright/certwright/scripts/localcloud/checkout"
	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

// vaultURL is the vault that the programs are written for, vaultResource what
// tokens for it are for.
const (
	vaultURL      = "https://myvault.vault.azure.net"
	vaultResource = "https://vault.azure.net"
)

// endGrace is how long the local cloud may take to end.
const endGrace = 20 * time.Second

// cloud is a local cloud that runs, on free ports, with the packaged app.
type cloud struct {
	// environ is the environment of a shell that has sourced its settings.
	environ []string
	// output is what it printed.
	output *transcript
	// program is the command that runs it, state where it keeps what it makes.
	program string
	state   checkout.Checkout
}

// localCloudProgram is the command, built once.
var localCloudProgram = once(func(ctx context.Context) (string, error) {
	source, err := tree()
	if err != nil {
		return "", err
	}
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "localcloud")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", program, "./scripts/localcloud")
	build.Dir = source.Root
	if message, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the local cloud: %w\n%s", err, message)
	}
	return program, nil
})

// privateCAs are the settings of a CA that was not made yet.
const privateCAs = `CERTWRIGHT_PROVIDERS={"Corp": {"privateca": {"chain": "corp/chain.pem", "sealed": true}}}`

// localCloud is the one that all tests share. Its timer fires every second.
var localCloud = once(func(ctx context.Context) (*cloud, error) {
	source, err := tree()
	if err != nil {
		return nil, err
	}
	dir, err := scratch()
	if err != nil {
		return nil, err
	}
	deployed, err := app()
	if err != nil {
		return nil, err
	}
	program, err := localCloudProgram()
	if err != nil {
		return nil, err
	}
	state := checkout.Checkout{Root: filepath.Join(dir, "cloud")}
	c := &cloud{output: new(transcript), program: program, state: state}
	cmd := exec.Command(program, "up", "-free-ports", "-in", state.Root, "-app", deployed)
	cmd.Dir = source.Root
	cmd.Env = append(plainEnviron(), "CERTWRIGHT_ADVANCE_SCHEDULE=* * * * * *", privateCAs)
	cmd.Stdout, cmd.Stderr = c.output, c.output
	process, err := supervise.Start(cmd, endGrace)
	if err != nil {
		return nil, err
	}
	shared.atEnd(process.Stop)
	if err := await(ctx, "the local cloud", func() error { return c.ready(process) }); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, c.output)
	}
	c.environ, err = sourced(ctx, state.Local("env"))
	return c, err
})

func (c *cloud) ready(process *supervise.Process) error {
	select {
	case <-process.Done():
		return fmt.Errorf("it ended: %w", process.Err())
	default:
	}
	if !strings.Contains(c.output.String(), "Certwright is ready") {
		return errors.New("it does not say that it is ready")
	}
	return nil
}

// plainEnviron is this process's environment without what would choose ports or
// lead elsewhere. `func` is left out of the PATH: these tests are about the
// stand-in for the Functions host.
func plainEnviron() []string {
	var plain []string
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case strings.HasPrefix(name, "CERTWRIGHT_"):
		case name == "PATH":
			dirs := slices.DeleteFunc(filepath.SplitList(value), func(dir string) bool {
				_, err := os.Stat(filepath.Join(dir, "func"))
				return err == nil
			})
			plain = append(plain, "PATH="+strings.Join(dirs, string(filepath.ListSeparator)))
		default:
			plain = append(plain, entry)
		}
	}
	return plain
}

// sourced is the environment of a shell that has sourced the file and had little
// in it before.
func sourced(ctx context.Context, file string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", `. "$0" && exec env`, file)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8"}
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("sourcing %q: %w", file, err)
	}
	return strings.Split(strings.TrimSpace(string(output)), "\n"), nil
}

// setting is an environment variable of the cloud's shell.
func (c *cloud) setting(name string) string {
	for _, entry := range c.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// token is a bearer token for the vault, as an SDK gets one.
func (c *cloud) token(ctx context.Context) (string, error) {
	return identity.RequestToken(ctx, c.setting("IDENTITY_ENDPOINT"), c.setting("IDENTITY_HEADER"), vaultResource)
}

// httpClient goes the way of all clients: by the proxy, trusting the bundle.
func (c *cloud) httpClient() (*http.Client, error) {
	bundle, err := os.ReadFile(c.setting("SSL_CERT_FILE"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	proxy, err := url.Parse(c.setting("HTTPS_PROXY"))
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout:       requestLimit,
		CheckRedirect: keepRedirects,
		Transport:     &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}},
	}, nil
}
