package storetest

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/certwright/certwright/handler/internal/store"
)

// CRLContract tests that crls keeps every sentence of store.CRLs. open returns an
// empty one of its own for each test; the tests run in parallel.
func CRLContract(t *testing.T, open func(t *testing.T) store.CRLs) {
	for name, test := range map[string]func(*testing.T, store.CRLs){
		"CRLs": crlsFollow, "CRLsTogether": crlsTogether, "CRLLimits": crlLimits,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func crlsFollow(t *testing.T, crls store.CRLs) {
	if crl, etag, err := crls.LoadCRL(t.Context(), "ca"); crl != nil || etag != "" || err != nil {
		t.Errorf("before the first: %q, %q, %v", crl, etag, err)
	}
	if err := crls.SaveCRL(t.Context(), "ca", []byte("0"), `"0x1"`); !isConflict(err) {
		t.Errorf("in place of one that is not there: %v", err)
	}
	if err := crls.SaveCRL(t.Context(), "ca", []byte("1"), ""); err != nil {
		t.Fatal(err)
	}
	crl, first, err := crls.LoadCRL(t.Context(), "ca")
	if string(crl) != "1" || first == "" || err != nil {
		t.Errorf("the first: %q, %q, %v", crl, first, err)
	}
	if err := crls.SaveCRL(t.Context(), "ca", []byte("2"), ""); !isConflict(err) {
		t.Errorf("another first: %v", err)
	}
	if err := crls.SaveCRL(t.Context(), "ca", []byte("2"), first); err != nil {
		t.Fatal(err)
	}
	if err := crls.SaveCRL(t.Context(), "ca", []byte("3"), first); !isConflict(err) {
		t.Errorf("in place of one that is not the last: %v", err)
	}
	crl, second, err := crls.LoadCRL(t.Context(), "ca")
	if string(crl) != "2" || second == first || err != nil {
		t.Errorf("the second: %q, %q, %v", crl, second, err)
	}
	if crl, _, err := crls.LoadCRL(t.Context(), "another"); crl != nil || err != nil {
		t.Errorf("another CA's: %q, %v", crl, err)
	}
}

// Of several that put a CRL in place of the same one, or of none, one does.
func crlsTogether(t *testing.T, crls store.CRLs) {
	etag := ""
	for round := range 3 {
		var all sync.WaitGroup
		var saved atomic.Int32
		for range 4 {
			all.Go(func() {
				switch err := crls.SaveCRL(t.Context(), "ca", []byte("crl"), etag); {
				case err == nil:
					saved.Add(1)
				case !isConflict(err):
					t.Error(err)
				}
			})
		}
		all.Wait()
		var err error
		if _, etag, err = crls.LoadCRL(t.Context(), "ca"); err != nil || saved.Load() != 1 {
			t.Errorf("round %d: %d saved, %v", round, saved.Load(), err)
		}
	}
}

func crlLimits(t *testing.T, crls store.CRLs) {
	most := bytes.Repeat([]byte{1}, store.MaxCRL)
	if err := crls.SaveCRL(t.Context(), "ca", append(most, 1), ""); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("one that is too long: %v", err)
	}
	if err := crls.SaveCRL(t.Context(), "ca", most, ""); err != nil {
		t.Fatal(err)
	}
	if crl, _, err := crls.LoadCRL(t.Context(), "ca"); !bytes.Equal(crl, most) || err != nil {
		t.Errorf("the longest: %d bytes, %v", len(crl), err)
	}
	for _, ca := range []string{"", "a/../b", "a b", "a?b"} {
		if err := crls.SaveCRL(t.Context(), ca, nil, ""); err == nil {
			t.Errorf("the CA %q is accepted", ca)
		}
		if _, _, err := crls.LoadCRL(t.Context(), ca); err == nil {
			t.Errorf("the CA %q is accepted", ca)
		}
	}
}
