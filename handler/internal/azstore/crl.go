package azstore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/certwright/certwright/handler/internal/store"
)

// crlType is the media type of a CRL. RFC 2585 section 4.2.
const crlType = "application/pkix-crl"

var _ store.CRLs = (*Store)(nil)

// LoadCRL implements store.CRLs.
func (s *Store) LoadCRL(ctx context.Context, ca string) (crl []byte, etag string, err error) {
	name, err := store.CRLName(ca)
	if err != nil {
		return nil, "", err
	}
	doing := fmt.Sprintf("getting CRL %q", name)
	answer, err := s.crls.NewBlobClient(name).DownloadStream(ctx, nil)
	if failureOf(err).status == http.StatusNotFound {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", explain(ctx, doing, err)
	}
	defer answer.Body.Close()
	crl, err = io.ReadAll(io.LimitReader(answer.Body, store.MaxCRL+1))
	switch {
	case err != nil:
		return nil, "", explain(ctx, doing, err)
	case len(crl) > store.MaxCRL:
		return nil, "", fmt.Errorf("%s: it is larger than %d bytes", doing, store.MaxCRL)
	case answer.ETag == nil:
		return nil, "", fmt.Errorf("%s: it has no ETag", doing)
	}
	return crl, string(*answer.ETag), nil
}

// SaveCRL implements store.CRLs.
func (s *Store) SaveCRL(ctx context.Context, ca string, crl []byte, etag string) error {
	name, err := store.CRLName(ca)
	if err != nil {
		return err
	}
	if len(crl) > store.MaxCRL {
		return fmt.Errorf("CRL %q holds %d bytes: must be at most %d", name, len(crl), store.MaxCRL)
	}
	last := &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}
	if etag != "" {
		last = &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(etag))}
	}
	err = s.withContainer(ctx, s.crls, func() error {
		_, err := s.crls.NewBlockBlobClient(name).Upload(ctx, streaming.NopCloser(bytes.NewReader(crl)), &blockblob.UploadOptions{
			HTTPHeaders:      &blob.HTTPHeaders{BlobContentType: to.Ptr(crlType)},
			AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: last},
		})
		return err
	})
	switch f := failureOf(err); {
	case err == nil:
		return nil
	case f.status == http.StatusPreconditionFailed, f.code == string(bloberror.BlobAlreadyExists), f.code == string(bloberror.BlobNotFound):
		return &store.ConflictError{Key: name}
	default:
		return explain(ctx, fmt.Sprintf("putting CRL %q", name), err)
	}
}
