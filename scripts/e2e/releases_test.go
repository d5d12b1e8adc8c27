package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/package/bundle"
)

// firstRelease is the commit of release 0.1.0.
const firstRelease = "a16e3d3"

// errNoHistory says that the clone is shallow.
var errNoHistory = errors.New("the history of this clone does not reach back to release 0.1.0; fetch all of it (git fetch --unshallow)")

// firstApp is the app of release 0.1.0, built of the history.
var firstApp = once(func(ctx context.Context) (string, error) {
	if err := exec.CommandContext(ctx, "git", "cat-file", "-e", firstRelease+"^{commit}").Run(); err != nil {
		return "", errNoHistory
	}
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	source, built := filepath.Join(dir, "first", "source"), filepath.Join(dir, "first", "app")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return "", err
	}
	var message bytes.Buffer
	extract := exec.CommandContext(ctx, "sh", "-c", `git -C "$(git rev-parse --show-toplevel)" archive "$0" | tar -x -C "$1"`, firstRelease, source)
	extract.Stderr = &message
	if err := extract.Run(); err != nil {
		return "", fmt.Errorf("reading release 0.1.0 from the history: %w\n%s", err, message.String())
	}
	return built, bundle.Build(ctx, source, built, bundle.Here)
})

// rounds is how often each program does something at one of the two releases.
const rounds = 40

// grantsOfFirst are permissions in release 0.1.0.
const grantsOfFirst = "certificates/get+certificates/list+certificates/update+certificates/create+certificates/import+" +
	"certificates/delete+certificates/recover+certificates/purge+certificates/manageissuers+secrets/get+keys/get"

// TestTwoReleases: a host with release 0.1.0 and one with this release serve one vault
// at the same time, and both tick. Programs create, poll, read and update
// certificates at either, and both handlers are killed again and again. Release 0.1.0
// may refuse what this one has written, this one refuses nothing for what it is; and
// once only this one runs, all that was acknowledged is there, once and whole, in
// today's form.
func TestTwoReleases(t *testing.T) {
	t.Parallel()
	first, err := firstApp()
	if errors.Is(err, errNoHistory) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	b := need(t, sharedBackend)
	before := *b
	before.app = first
	cfg := hostConfig{vaultID: newVaultID(), schedule: "* * * * * *"}
	granted := cfg
	granted.environ = []string{"CERTWRIGHT_GRANTS=" + b.caller + "=" + grantsOfFirst} // it knows app roles by names with spaces only
	m := &mixture{backend: b, hosts: [2]*host{before.start(t, granted), nil}}
	m.hosts[0].api.must(t, http.MethodPut, "/certificates/issuers/ca"+apiVersion, `{"provider":"Test"}`)
	m.hosts[1] = b.start(t, cfg) // where nothing is stored yet, what 0.1.0 writes would never count

	stop := make(chan struct{})
	var killing, programs sync.WaitGroup
	killing.Go(func() { m.kill(t, rand.New(rand.NewPCG(seed, 0)), stop) })
	for i := range callers {
		programs.Go(func() { m.use(t, i, rand.New(rand.NewPCG(seed, uint64(i)+1))) })
	}
	programs.Wait()
	close(stop)
	killing.Wait()
	t.Logf("%d certificates; answers of release 0.1.0 and of this one by status: %v", len(m.done), m.answers)
	if m.answers[0][http.StatusAccepted] == 0 || m.answers[1][http.StatusAccepted] == 0 || len(m.done) == 0 {
		t.Error("one of the two has created nothing")
	}
	m.hosts[0].end(t)
	eventually(t, endWait, "the end of all operations", func() error {
		for _, c := range m.done {
			if err := b.check(t.Context(), m.hosts[1].api, c); err != nil {
				return fmt.Errorf("%s, created at %s: %w", c.name, m.release[c.name], err)
			}
		}
		return nil
	})
	var state struct{ Pass, Total, Ended int }
	eventually(t, endWait, "the first pass of the migration", func() error {
		got, err := m.hosts[1].api.do(t.Context(), http.MethodGet, "/operations/storage/migration"+apiVersion, "")
		if err == nil {
			err = got.into(&state)
		}
		if err == nil && state.Pass < 2 && state.Ended == 0 {
			err = fmt.Errorf("it is in pass %d", state.Pass)
		}
		return err
	})
	m.hosts[1].api.must(t, http.MethodPost, "/operations/storage/migration/finish"+apiVersion, "")
	var unreadable struct {
		Value []struct{ Key, Problem string }
	}
	if err := m.hosts[1].api.must(t, http.MethodGet, "/operations/storage/unreadable"+apiVersion, "").into(&unreadable); err != nil || len(unreadable.Value) > 0 {
		t.Errorf("rows that cannot be read: %v (%v)", unreadable.Value, err)
	}
}

// mixture is two releases at work on one vault.
type mixture struct {
	backend *backend
	hosts   [2]*host // release 0.1.0, and this one

	mu      sync.Mutex
	done    []claim
	release map[string]string // that created a certificate
	answers [2]map[int]int    // by status; 0: none
}

// do sends a request to one of the two.
func (m *mixture) do(t *testing.T, which int, method, path, body string) (answer, bool) {
	got, err := m.hosts[which].api.do(t.Context(), method, path+apiVersion, body)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers[which] == nil {
		m.answers[which] = make(map[int]int)
	}
	m.answers[which][got.status]++
	// A host whose handler was killed answers 5xx without an envelope.
	if which == 1 && err == nil && got.status == http.StatusInternalServerError && got.code() != "" {
		t.Errorf("this release answers %s %s with %v", method, path, got.refusal())
	}
	return got, err == nil && got.status < 300
}

// use is a program. Each certificate is its own, and what is not acknowledged it does
// not rely on.
func (m *mixture) use(t *testing.T, caller int, random *rand.Rand) {
	var mine []claim
	for i := range rounds {
		time.Sleep(pace)
		which := random.IntN(2)
		if len(mine) == 0 || random.IntN(3) == 0 {
			c := claim{name: fmt.Sprintf("mixed-%d-%d", caller, i), issuer: []string{"Self", "ca"}[random.IntN(2)]}
			got, ok := m.do(t, which, http.MethodPost, "/certificates/"+c.name+"/create", policy(c.issuer))
			if !ok {
				continue
			}
			c = claimed(t, c.name, c.issuer, got)
			mine = append(mine, c)
			m.mu.Lock()
			if m.release == nil {
				m.release = make(map[string]string)
			}
			m.release[c.name] = []string{"release 0.1.0", "this release"}[which]
			m.mu.Unlock()
			continue
		}
		c := mine[random.IntN(len(mine))]
		switch random.IntN(4) {
		case 0:
			m.do(t, which, http.MethodGet, "/certificates/"+c.name+"/pending", "")
		case 1:
			m.do(t, which, http.MethodPatch, "/certificates/"+c.name, `{"tags":{"a":"b"}}`)
		case 2:
			m.do(t, which, http.MethodGet, "/certificates/"+c.name, "")
		default:
			m.do(t, which, http.MethodPatch, "/certificates/"+c.name+"/policy", `{"lifetime_actions":[{"trigger":{"lifetime_percentage":80},"action":{"action_type":"AutoRenew"}}]}`)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = append(m.done, mine...)
}

// kill kills a handler every now and then, and at most twice each: at the third time
// in a row a host gives up.
func (m *mixture) kill(t *testing.T, random *rand.Rand, stop <-chan struct{}) {
	for i := range 4 {
		select {
		case <-stop:
			return
		case <-time.After(pace + time.Duration(random.Int64N(int64(2*time.Second)))):
		}
		h := m.hosts[i%2]
		if err := h.Ready(t.Context()); err != nil {
			t.Error(err)
			return
		}
		if err := syscall.Kill(h.HandlerPID(), syscall.SIGKILL); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			t.Errorf("killing a handler: %v", err)
		}
	}
}
