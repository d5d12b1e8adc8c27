package azstore_test

// CRLs as blobs under ETags.

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/storetest"
)

func TestCRLsKeepTheContract(t *testing.T) {
	t.Parallel()
	storetest.CRLContract(t, func(t *testing.T) store.CRLs {
		return open(t, func(cfg *azstore.Config) { cfg.CRLContainer = newName() })
	})
}

// Whoever downloads a CRL learns what it is. RFC 2585 section 4.2.
func TestCRLHasItsMediaType(t *testing.T) {
	t.Parallel()
	name := newName()
	st := open(t, func(cfg *azstore.Config) { cfg.CRLContainer = name })
	if err := st.SaveCRL(t.Context(), "ca", []byte("1"), ""); err != nil {
		t.Fatal(err)
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
