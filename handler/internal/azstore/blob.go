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

// chainType is the media type of a chain. RFC 8555 section 9.1.
const chainType = "application/pem-certificate-chain"

// PutBlob implements store.Store.
func (s *Store) PutBlob(ctx context.Context, name string, data []byte) error {
	if err := store.CheckBlob(name, data); err != nil {
		return err
	}
	err := s.withContainer(ctx, s.chains, func() error {
		_, err := s.chains.NewBlockBlobClient(name).Upload(ctx, streaming.NopCloser(bytes.NewReader(data)), &blockblob.UploadOptions{
			HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr(chainType)},
			AccessConditions: &blob.AccessConditions{
				ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)},
			},
		})
		return err
	})
	if err == nil || failureOf(err).code == string(bloberror.BlobAlreadyExists) {
		return nil
	}
	return explain(ctx, fmt.Sprintf("putting blob %q", name), err)
}

// GetBlob implements store.Store. Nothing is found in a container that is
// missing.
func (s *Store) GetBlob(ctx context.Context, name string) ([]byte, error) {
	if err := store.CheckBlob(name, nil); err != nil {
		return nil, err
	}
	doing := fmt.Sprintf("getting blob %q", name)
	answer, err := s.chains.NewBlobClient(name).DownloadStream(ctx, nil)
	if failureOf(err).status == http.StatusNotFound {
		return nil, fmt.Errorf("blob %q: %w", name, store.ErrNotFound)
	}
	if err != nil {
		return nil, explain(ctx, doing, err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, store.MaxBlob+1))
	if err != nil {
		return nil, explain(ctx, doing, err)
	}
	if len(data) > store.MaxBlob {
		return nil, fmt.Errorf("%s: it is larger than %d bytes", doing, store.MaxBlob)
	}
	return data, nil
}

// DeleteBlob implements store.Store.
func (s *Store) DeleteBlob(ctx context.Context, name string) error {
	if err := store.CheckBlob(name, nil); err != nil {
		return err
	}
	_, err := s.chains.NewBlobClient(name).Delete(ctx, nil)
	if err == nil || failureOf(err).status == http.StatusNotFound {
		return nil
	}
	return explain(ctx, fmt.Sprintf("deleting blob %q", name), err)
}
