package azurite_test

// Azurite as a process.

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/certwright/certwright/scripts/localcloud/azurite"
	"github.com/certwright/certwright/scripts/localcloud/supervise/supervisetest"
)

func TestServesTableAndBlob(t *testing.T) {
	t.Parallel()
	server := supervisetest.Run(t, azurite.Start, azurite.Config{})

	tables, err := aztables.NewServiceClientFromConnectionString(server.ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tables.CreateTable(t.Context(), "vault", nil); err != nil {
		t.Error(err)
	}
	blobs, err := azblob.NewClientFromConnectionString(server.ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blobs.CreateContainer(t.Context(), "chains", nil); err != nil {
		t.Error(err)
	}
}

func TestKeepsDataInLocation(t *testing.T) {
	t.Parallel()
	location := filepath.Join(t.TempDir(), "data")
	var tables *aztables.ServiceClient
	for range 2 {
		server := supervisetest.Run(t, azurite.Start, azurite.Config{Location: location})
		var err error
		if tables, err = aztables.NewServiceClientFromConnectionString(server.ConnectionString(), nil); err != nil {
			t.Fatal(err)
		}
		_, err = tables.CreateTable(t.Context(), "vault", nil)
		if err != nil && !strings.Contains(err.Error(), "TableAlreadyExists") {
			t.Fatal(err)
		}
		second := err != nil
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		if second {
			return
		}
	}
	t.Error("the table of the first run is missing in the second")
}

func TestStopEndsTheProcess(t *testing.T) {
	t.Parallel()
	server := supervisetest.Run(t, azurite.Start, azurite.Config{})
	supervisetest.StopEnds(t, server)
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var output bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), supervisetest.StartLimit)
	defer cancel()
	port := taken.Addr().(*net.TCPAddr).Port
	_, err = azurite.Start(ctx, azurite.Config{TablePort: port, Output: &output})
	if err == nil || !strings.Contains(err.Error(), "EADDRINUSE") {
		t.Errorf("starting on a taken port: %v, want an error with EADDRINUSE; output:\n%s", err, output.String())
	}
}
