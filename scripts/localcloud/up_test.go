package main

// The life of a local cloud, from up to down.

import (
	"bytes"
	"flag"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// output runs a command of localcloud to its end.
func output(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, status int) {
	t.Helper()
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if runErr := cmd.Run(); runErr != nil && cmd.ProcessState == nil {
		t.Fatal(runErr)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

func TestLifeOfALocalCloud(t *testing.T) {
	t.Parallel()
	r := start(t)
	environment := r.environment
	children := descendants(t, r.cmd.Process.Pid)

	t.Run("clients reach the app by the name of any vault", func(t *testing.T) {
		got, err := r.get(t, "https://myvault.vault.azure.net/certificates/a/?api-version=7.4")
		if err != nil {
			t.Fatal(err)
		}
		if host := got.Header.Get("X-Forwarded-Host"); host != "myvault.vault.azure.net" {
			t.Errorf("the handler saw X-Forwarded-Host %q, want the vault's", host)
		}
		if got.URI != "/certificates/a/?api-version=7.4" {
			t.Errorf("the handler saw the target %q", got.URI)
		}
	})

	t.Run("clients reach the app at the front door", func(t *testing.T) {
		got, err := r.get(t, environment["CERTWRIGHT_URL"]+"/certificates")
		if err != nil {
			t.Fatal(err)
		}
		if host := strings.TrimPrefix(environment["CERTWRIGHT_URL"], "https://"); got.Header.Get("X-Forwarded-Host") != host {
			t.Errorf("the handler saw X-Forwarded-Host %q, want %q", got.Header.Get("X-Forwarded-Host"), host)
		}
	})

	t.Run("the settings fit together", func(t *testing.T) {
		got, err := r.get(t, environment["CERTWRIGHT_URL"]+"/certificates")
		if err != nil {
			t.Fatal(err)
		}
		bearer, stderr, status := output(t, child(t, r.state, "token"))
		if status != 0 {
			t.Fatalf("token: status %d: %s", status, stderr)
		}
		parsed, _, err := jwt.NewParser().ParseUnverified(strings.TrimSpace(bearer), jwt.MapClaims{})
		if err != nil {
			t.Fatal(err)
		}
		claims := parsed.Claims.(jwt.MapClaims)
		for setting, want := range map[string]string{
			"CERTWRIGHT_TOKEN_ISSUERS":             claims["iss"].(string),
			"CERTWRIGHT_TOKEN_AUDIENCES":           claims["aud"].(string) + "," + claims["aud"].(string) + "/",
			"CERTWRIGHT_RESOURCE":                  "https://vault.azure.net",
			"CERTWRIGHT_AUTHORITY":                 environment["CERTWRIGHT_URL"] + "/" + claims["tid"].(string),
			"CERTWRIGHT_VAULT_URLS":                environment["CERTWRIGHT_URL"] + ",https://*.vault.azure.net",
			"CERTWRIGHT_KEK_FILE":                  r.state.Local("kek"),
			"CERTWRIGHT_ADVANCE_SCHEDULE":          "*/5 * * * * *",
			"CERTWRIGHT_SCRIPTED_ISSUER":           "true",
			"CERTWRIGHT_LOG_FORMAT":                "text",
			"CERTWRIGHT_RETRY_AFTER":               "1",
			"CERTWRIGHT_STORAGE_CONNECTION_STRING": got.Settings["AzureWebJobsStorage"],
		} {
			if got.Settings[setting] != want {
				t.Errorf("the handler's %s is %q, want %q", setting, got.Settings[setting], want)
			}
		}
		response, err := http.Get(got.Settings["CERTWRIGHT_TOKEN_KEYS_URL"])
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("the token keys' URL answers %s", response.Status)
		}
	})

	t.Run("the shell's settings are complete", func(t *testing.T) {
		for _, name := range []string{
			"CERTWRIGHT_URL", "CERTWRIGHT_HOST_URL", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
			"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "AZURE_TOKEN_CREDENTIALS",
		} {
			if environment[name] == "" {
				t.Errorf("%s is not set", name)
			}
		}
		if _, ok := environment["AZURE_CLIENT_SECRET"]; ok {
			t.Error("the user's own AZURE_CLIENT_SECRET is still set")
		}
	})

	t.Run("all that is kept is the owner's only", func(t *testing.T) {
		for _, name := range []string{"env", "env.fish", "env.ps1", ".env", "kek", "up.lock", "identity/key.pem", "identity/header", "ca/authority.pem", "ca/authority.key"} {
			info, err := os.Stat(r.state.Local(name))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %o, want 600", name, info.Mode().Perm())
			}
		}
		if info, err := os.Stat(r.state.Local()); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf(".local has mode %v, %v, want 700", info.Mode(), err)
		}
	})

	t.Run("a second one is refused and does no harm", func(t *testing.T) {
		_, stderr, status := output(t, child(t, r.state, "up", "-free-ports"))
		pid := strconv.Itoa(r.cmd.Process.Pid)
		if status != 1 || !strings.Contains(stderr, "runs already, as process "+pid) {
			t.Errorf("status %d, %q, want 1 and the process", status, stderr)
		}
		if _, err := r.get(t, environment["CERTWRIGHT_URL"]+"/certificates"); err != nil {
			t.Errorf("the first one does not answer any more: %v", err)
		}
	})

	t.Run("status", func(t *testing.T) {
		stdout, _, status := output(t, child(t, r.state, "status"))
		if status != 0 || !strings.Contains(stdout, environment["CERTWRIGHT_URL"]) || !strings.Contains(stdout, environment["CERTWRIGHT_HOST_URL"]) {
			t.Errorf("status %d, %q, want both URLs", status, stdout)
		}
	})

	t.Run("the storage and the folder of files are told", func(t *testing.T) {
		stdout, _, _ := output(t, child(t, r.state, "status"))
		if !strings.Contains(stdout, "TableEndpoint=http://127.0.0.1:") || !strings.Contains(stdout, r.state.Local("files")) {
			t.Errorf("status says %q", stdout)
		}
	})

	t.Run("a tick at once", func(t *testing.T) {
		if stdout, stderr, status := output(t, child(t, r.state, "tick")); status != 0 || stdout != "a tick begins\n" {
			t.Errorf("status %d, %q, %q", status, stdout, stderr)
		}
	})

	t.Run("what is in use is not reset", func(t *testing.T) {
		if _, stderr, status := output(t, child(t, r.state, "reset")); status != 1 || !strings.Contains(stderr, "`make stop` ends it") {
			t.Errorf("status %d, %q", status, stderr)
		}
		if _, err := os.Stat(r.state.Local("kek")); err != nil {
			t.Error(err)
		}
	})

	if _, stderr, status := output(t, child(t, r.state, "down")); status != 0 {
		t.Errorf("down: status %d: %s", status, stderr)
	}
	if status := r.await(t); status != 0 {
		t.Errorf("the local cloud ended with status %d:\n%s", status, r.output)
	}
	awaitGone(t, children)
	for _, name := range []string{"env", "env.fish", "env.ps1", ".env"} {
		if _, err := os.Stat(r.state.Local(name)); !os.IsNotExist(err) {
			t.Errorf("the settings in %s are left: %v", name, err)
		}
	}
	for _, command := range []string{"status", "token", "down", "tick"} {
		if _, stderr, status := output(t, child(t, r.state, command)); status != 1 || !strings.Contains(stderr, "no local cloud runs") {
			t.Errorf("%s after the end: status %d, %q", command, status, stderr)
		}
	}
	if line := regexp.MustCompile(`(?m)^host      \| \d\d:\d\d:\d\d INF functions host started url=\S+ `); !line.MatchString(r.output.String()) {
		t.Errorf("the host's lines are not for people:\n%s", r.output)
	}
	if strings.Contains(r.output.String(), "azurite   |") {
		t.Errorf("Azurite's routine is in the output:\n%s", r.output)
	}
	if strings.Contains(r.output.String(), environment["IDENTITY_HEADER"]) {
		t.Error("the identity header is in the output")
	}
}

// TestReset: certificates, keys and files are removed, and nothing that was
// installed.
func TestReset(t *testing.T) {
	t.Parallel()
	state := checkout.Checkout{Root: t.TempDir()}
	for _, name := range []string{"kek", "data/table", "files/corp.pem", "ca/authority.pem", "identity/key.pem", "timers/a", "env", "azurite/program"} {
		if err := state.State().Write(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if stdout, stderr, status := output(t, child(t, state, "reset")); status != 0 || !strings.Contains(stdout, "kek") {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
	left, err := os.ReadDir(state.Local())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range left {
		names = append(names, entry.Name())
	}
	if diff := cmp.Diff([]string{"azurite", lockName}, names); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

func TestEndOfOnePartEndsAll(t *testing.T) {
	t.Parallel()
	r := start(t)
	children := descendants(t, r.cmd.Process.Pid)
	storage := slices.IndexFunc(children, func(pid int) bool { return name(pid) == "node" })
	if storage < 0 {
		t.Fatal("no child is named node")
	}
	kill(t, children[storage])
	if status := r.await(t); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if want := "azurite ended by itself: signal: killed"; !strings.Contains(r.output.String(), want) {
		t.Errorf("the output does not say %q:\n%s", want, r.output)
	}
	awaitGone(t, children)
}

func TestHandlerThatKeepsCrashingEndsAll(t *testing.T) {
	t.Parallel()
	r := start(t, coreTools(t))
	if port := r.environment["CERTWRIGHT_HOST_URL"][len("http://127.0.0.1:"):]; !strings.Contains(r.output.String(), "func start --port "+port) {
		t.Errorf("the installed Functions host was not used:\n%s", r.output)
	}
	address := r.environment["CERTWRIGHT_URL"] + "/certificates/crash"
	for range 3 { // at the third crash the Functions host gives up, if not before
		if _, err := r.get(t, address); err == nil {
			t.Error("a crashed handler answered")
		}
	}
	if status := r.await(t); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if want := "the Functions host ended by itself"; !strings.Contains(r.output.String(), want) {
		t.Errorf("the output does not say %q:\n%s", want, r.output)
	}
}

func TestKilledLocalCloudLeavesNothing(t *testing.T) {
	t.Parallel()
	r := start(t)
	children := descendants(t, r.cmd.Process.Pid)
	if len(children) < 3 {
		t.Fatalf("got %d children, want Azurite, the Functions host and the handler", len(children))
	}
	kill(t, r.cmd.Process.Pid)
	r.await(t)
	awaitGone(t, children)
	// What is left of it does not keep the next one from starting or stopping.
	if _, stderr, status := output(t, child(t, r.state, "status")); status != 1 || !strings.Contains(stderr, "no local cloud runs") {
		t.Errorf("status: %d, %q, want that none runs", status, stderr)
	}
}

func TestTakenPortsAreExplained(t *testing.T) {
	t.Parallel()
	for option, env := range map[string]string{
		"port": "CERTWRIGHT_PORT", "host-port": "CERTWRIGHT_HOST_PORT", "table-port": "CERTWRIGHT_TABLE_PORT",
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		port := strconv.Itoa(loopback.Port(listener))
		state := checkout.Checkout{Root: t.TempDir()}
		cmd := child(t, state, "up", "-free-ports", "-app", app(t))
		cmd.Env = append(cmd.Env, env+"="+port)
		_, stderr, status := output(t, cmd)
		want := "port " + port + " of 127.0.0.1 is taken by another program: choose another with -" + option + " or " + env + " (0: a free one)\n"
		if status != 1 || !strings.Contains(stderr, want) || strings.Count(stderr, "make run UP=-free-ports") != 1 {
			t.Errorf("status %d, %q, want 1 and %q", status, stderr, want)
		}
	}
}

// TestChosenPortsWin: -free-ports leaves a port that a flag or the environment
// chooses.
func TestChosenPortsWin(t *testing.T) {
	t.Setenv("CERTWRIGHT_TABLE_PORT", "15002")
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	choice := portFlags(flags)
	if err := flags.Parse([]string{"-port", "15001", "-free-ports"}); err != nil {
		t.Fatal(err)
	}
	chosen, err := choice()
	if err != nil || chosen.frontDoor.number != 15001 || chosen.table.number != 15002 || chosen.host.number != 0 {
		t.Errorf("got %+v, %v, want ports 15001 and 15002 and free ones", chosen, err)
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, 2, "usage: localcloud"},
		{[]string{"upp"}, 2, `no command "upp"`},
		{[]string{"handler"}, 2, "say which command"},
		{[]string{"handler", "-nonsense"}, 2, "-nonsense"},
		{[]string{"up", "now"}, 2, `no argument "now"`},
		{[]string{"up", "-no-such-flag"}, 2, "-host-port"},
		{[]string{"up", "-h"}, 0, "-host-port"},
		{[]string{"functionshost", "-root", "/no/such/folder"}, 1, "/no/such/folder"},
	} {
		_, stderr, status := output(t, child(t, checkout.Checkout{}, c.args...))
		if status != c.status || !strings.Contains(stderr, c.want) {
			t.Errorf("localcloud %q: status %d, %q, want %d and %q", c.args, status, stderr, c.status, c.want)
		}
	}
	stdout, _, status := output(t, child(t, checkout.Checkout{}, "--help"))
	if status != 0 || !strings.Contains(stdout, "functionshost") {
		t.Errorf("localcloud --help: status %d, %q", status, stdout)
	}
}

func TestOwnChildrenDoNotUseTheClientsSettings(t *testing.T) {
	t.Parallel()
	user := []string{"HOME=/h", "HTTPS_PROXY=http://corporate:3128", "SSL_CERT_FILE=/corporate.pem"}
	if diff := cmp.Diff(user, ownEnviron(user)); diff != "" {
		t.Errorf("the user's own settings (-want +got):\n%s", diff)
	}
	sourced := []string{"HOME=/h", "CERTWRIGHT_LOG_LEVEL=debug"}
	for _, v := range (endpoints{}).routes() {
		sourced = append(sourced, v.name+"=x")
	}
	sourced = append(sourced, "CERTWRIGHT_OUTER_HTTPS_PROXY=http://corporate:3128", "CERTWRIGHT_OUTER_no_proxy=corp.test")
	want := []string{"HOME=/h", "CERTWRIGHT_LOG_LEVEL=debug", "HTTPS_PROXY=http://corporate:3128", "no_proxy=corp.test"}
	if diff := cmp.Diff(want, ownEnviron(sourced)); diff != "" {
		t.Errorf("the environment after sourcing (-want +got):\n%s", diff)
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "plain", "/a b/$HOME`x`", `it's`, "a\nb", `back\slash"`} {
		printed, err := exec.Command("sh", "-c", "printf %s "+quote(value)).Output()
		if err != nil || string(printed) != value {
			t.Errorf("sh reads %s as %q, %v", quote(value), printed, err)
		}
	}
}
