package azstore_test

// CRLs as blobs under ETags.

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/store"
)

// isConflict reports whether another CRL is there.
func isConflict(err error) bool {
	_, ok := errors.AsType[*store.ConflictError](err)
	return ok
}

func TestCRLs(t *testing.T) {
	t.Parallel()
	name := newName()
	store := open(t, func(cfg *azstore.Config) { cfg.CRLContainer = name })
	if crl, etag, err := store.LoadCRL(t.Context(), "ca"); crl != nil || etag != "" || err != nil {
		t.Errorf("before the first: %q, %q, %v", crl, etag, err)
	}
	if err := store.SaveCRL(t.Context(), "ca", []byte("0"), `"0x1"`); !isConflict(err) {
		t.Errorf("in place of one that is not there: %v", err)
	}
	if err := store.SaveCRL(t.Context(), "ca", []byte("1"), ""); err != nil {
		t.Fatal(err)
	}
	crl, first, err := store.LoadCRL(t.Context(), "ca")
	if string(crl) != "1" || first == "" || err != nil {
		t.Errorf("the first: %q, %q, %v", crl, first, err)
	}
	if err := store.SaveCRL(t.Context(), "ca", []byte("2"), ""); !isConflict(err) {
		t.Errorf("another first: %v", err)
	}
	if err := store.SaveCRL(t.Context(), "ca", []byte("2"), first); err != nil {
		t.Fatal(err)
	}
	if err := store.SaveCRL(t.Context(), "ca", []byte("3"), first); !isConflict(err) {
		t.Errorf("in place of one that is not the last: %v", err)
	}
	crl, second, err := store.LoadCRL(t.Context(), "ca")
	if string(crl) != "2" || second == first || err != nil {
		t.Errorf("the second: %q, %q, %v", crl, second, err)
	}
	if crl, _, err := store.LoadCRL(t.Context(), "another"); crl != nil || err != nil {
		t.Errorf("another CA's: %q, %v", crl, err)
	}
	blobs, err := azblob.NewClientFromConnectionString(storage.ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := blobs.ServiceClient().NewContainerClient(name).NewBlobClient("ca.crl").GetProperties(t.Context(), nil)
	if err != nil || *answer.ContentType != "application/pkix-crl" {
		t.Errorf("%v, media type %v", err, answer.ContentType)
	}
}

// Of several that put a CRL in place of the same one, or of none, one does.
func TestCRLsTogether(t *testing.T) {
	t.Parallel()
	store := open(t, func(cfg *azstore.Config) { cfg.CRLContainer = newName() })
	etag := ""
	for round := range 3 {
		var all sync.WaitGroup
		var saved atomic.Int32
		for range 4 {
			all.Go(func() {
				switch err := store.SaveCRL(t.Context(), "ca", []byte("crl"), etag); {
				case err == nil:
					saved.Add(1)
				case !isConflict(err):
					t.Error(err)
				}
			})
		}
		all.Wait()
		var err error
		if _, etag, err = store.LoadCRL(t.Context(), "ca"); err != nil || saved.Load() != 1 {
			t.Errorf("round %d: %d saved, %v", round, saved.Load(), err)
		}
	}
}

func TestCRLLimits(t *testing.T) {
	t.Parallel()
	store := open(t, func(cfg *azstore.Config) { cfg.CRLContainer = newName() })
	most := bytes.Repeat([]byte{1}, azstore.MaxCRL)
	if err := store.SaveCRL(t.Context(), "ca", append(most, 1), ""); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("one that is too long: %v", err)
	}
	if err := store.SaveCRL(t.Context(), "ca", most, ""); err != nil {
		t.Fatal(err)
	}
	if crl, _, err := store.LoadCRL(t.Context(), "ca"); !bytes.Equal(crl, most) || err != nil {
		t.Errorf("the longest: %d bytes, %v", len(crl), err)
	}
	for _, ca := range []string{"", "a/../b", "a b", "a?b"} {
		if err := store.SaveCRL(t.Context(), ca, nil, ""); err == nil {
			t.Errorf("the CA %q is accepted", ca)
		}
		if _, _, err := store.LoadCRL(t.Context(), ca); err == nil {
			t.Errorf("the CA %q is accepted", ca)
		}
	}
}
