package rootkey_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/rootkey"
)

var (
	idA = strings.Repeat("a", 32)
	idB = strings.Repeat("b", 32)
)

func secret(id string, b byte) rootkey.Secret {
	return rootkey.Secret{ID: id, Value: bytes.Repeat([]byte{b}, 32)}
}

func newKeys(t *testing.T, change func(*rootkey.Config)) *rootkey.Keys {
	t.Helper()
	cfg := rootkey.Config{Partition: "vault", Installation: idB, Current: secret(idA, 7)}
	if change != nil {
		change(&cfg)
	}
	keys, err := rootkey.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// What is stored depends on these for ever. Another implementation, in Python,
// made the same bytes from the package comment.
func TestDerivedKeysAreStable(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, nil)
	for what, got := range map[string][]byte{
		"14b4080da9084fed49f8e0f610fa009daddece1f4c8f0f54622da4f141164d98": keys.Row(idA), "af4c191e7ffa5ec2098aec1c8b3822376dc975254ee6ef00f9aff9334bc6ffcc": keys.Seal(idA), "2fd62be9812b0ecaba7d311301c7b04a9366746cecee34710f6063b5457e2aca": keys.Backup(idA),
	} {
		if hex.EncodeToString(got) != what {
			t.Errorf("got %x, want %s", got, what)
		}
	}
}

func TestKeysBelongToOnePurposeAndPlace(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	note := func(what string, key []byte) {
		if len(key) != rootkey.Size || seen[string(key)] != "" {
			t.Errorf("%s has the key of %q, or none", what, seen[string(key)])
		}
		seen[string(key)] = what
	}
	one := newKeys(t, nil)
	note("row", one.Row(idA))
	note("seal", one.Seal(idA))
	note("request", one.Request())
	note("backup", one.Backup(idA))
	other := newKeys(t, func(cfg *rootkey.Config) { cfg.Partition = "vault2" })
	note("row of another partition", other.Row(idA))
	note("seal of another partition", other.Seal(idA))
	note("request of another partition", other.Request())
	if !bytes.Equal(other.Backup(idA), one.Backup(idA)) {
		t.Error("two vaults of one installation have different keys of backups")
	}
	foreign := newKeys(t, func(cfg *rootkey.Config) { cfg.Installation = idA })
	note("backup of another installation", foreign.Backup(idA))
}

func TestKeysOfSeveralRoots(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, func(cfg *rootkey.Config) { cfg.Others = []rootkey.Secret{secret(idB, 8)} })
	if keys.Current() != idA || keys.Row(idB) == nil || bytes.Equal(keys.Row(idA), keys.Row(idB)) {
		t.Errorf("current root %q, keys %x and %x", keys.Current(), keys.Row(idA), keys.Row(idB))
	}
	if unknown := strings.Repeat("c", 32); keys.Row(unknown) != nil || keys.Seal(unknown) != nil || keys.Backup(unknown) != nil {
		t.Error("a root that is not there has keys")
	}
}

func TestUnsignedRowsCountForAWhile(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	if newKeys(t, nil).AcceptUnsigned(end) {
		t.Error("without a date unsigned rows count")
	}
	keys := newKeys(t, func(cfg *rootkey.Config) { cfg.UnsignedUntil = end })
	if !keys.AcceptUnsigned(end.Add(-1)) || keys.AcceptUnsigned(end) {
		t.Error("unsigned rows must count up to the date, and not from it on")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*rootkey.Config){
		"no partition":       func(cfg *rootkey.Config) { cfg.Partition = "" },
		"an installation":    func(cfg *rootkey.Config) { cfg.Installation = "x" },
		"a short secret":     func(cfg *rootkey.Config) { cfg.Current.Value = make([]byte, 31) },
		"an id in capitals":  func(cfg *rootkey.Config) { cfg.Current.ID = strings.Repeat("A", 32) },
		"another's short id": func(cfg *rootkey.Config) { cfg.Others = []rootkey.Secret{{ID: "b", Value: make([]byte, 32)}} },
	} {
		cfg := rootkey.Config{Partition: "vault", Installation: idB, Current: secret(idA, 7)}
		change(&cfg)
		if _, err := rootkey.New(cfg); err == nil {
			t.Errorf("New accepted %s", what)
		}
	}
}
