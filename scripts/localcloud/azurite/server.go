package azurite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

// The account that every Azurite serves. The key is published by Microsoft
// (https://learn.microsoft.com/azure/storage/common/storage-connect-azurite) and
// protects nothing.
const (
	accountName = "devstoreaccount1"
	accountKey  = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

const (
	// memoryLimit bounds the blobs of an Azurite without a Location, in MB.
	memoryLimit = 64
	// stopGrace is how long Azurite may take to write its state at the end.
	stopGrace = 5 * time.Second
	// lineLimit bounds one line of Azurite's output, in bytes.
	lineLimit = 64 << 10
	// tailLines is how much of the output an error repeats.
	tailLines = 5
)

// Config says how to run Azurite. The zero value is right for tests: free
// ports, data in memory.
type Config struct {
	// Checkout is where Azurite is installed; zero: the working copy that the
	// working directory lies in.
	Checkout checkout.Checkout
	// Location is the folder of the data, created when missing; empty: data in
	// memory, gone at the end.
	Location string
	// BlobPort, QueuePort and TablePort are ports on 127.0.0.1; 0: any free one.
	BlobPort, QueuePort, TablePort int
	// Output receives what Azurite prints; nil: nobody.
	Output io.Writer
}

// Server is a running Azurite.
type Server struct {
	process *supervise.Process
	urls    map[string]string
}

// Start installs Azurite when needed, starts it and returns when its three
// services listen. ctx bounds the start only; the server runs until Stop, or
// until this process ends.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	tree, err := cfg.Checkout.OrHere()
	if err != nil {
		return nil, err
	}
	program, err := Install(ctx, tree)
	if err != nil {
		return nil, err
	}
	args, err := cfg.arguments(program)
	if err != nil {
		return nil, err
	}
	reader, writer := io.Pipe()
	cmd := exec.Command("node", args...)
	cmd.Stdout, cmd.Stderr = writer, writer
	process, err := supervise.Start(cmd, stopGrace)
	if err != nil {
		return nil, fmt.Errorf("starting azurite: %w", err)
	}
	go func() {
		<-process.Done()
		writer.Close()
	}()
	s := &Server{process: process}
	if s.urls, err = readiness(ctx, reader, cfg.Output); err != nil {
		return nil, errors.Join(fmt.Errorf("starting azurite: %w", err), s.Stop())
	}
	return s, nil
}

func (cfg Config) arguments(program string) ([]string, error) {
	args := []string{
		program, "--silent", "--disableTelemetry",
		// The Azure SDKs speak newer versions of the protocol than Azurite lists.
		"--skipApiVersionCheck",
		"--blobPort", strconv.Itoa(cfg.BlobPort),
		"--queuePort", strconv.Itoa(cfg.QueuePort),
		"--tablePort", strconv.Itoa(cfg.TablePort),
	}
	if cfg.Location == "" {
		return append(args, "--inMemoryPersistence", "--extentMemoryLimit", strconv.Itoa(memoryLimit)), nil
	}
	if err := os.MkdirAll(cfg.Location, 0o700); err != nil {
		return nil, fmt.Errorf("creating azurite's data folder %q: %w", cfg.Location, err)
	}
	return append(args, "--location", cfg.Location), nil
}

// listening is what Azurite prints once per service.
var listening = regexp.MustCompile(`^Azurite (Blob|Queue|Table) service is successfully listening at (http://\S+)`)

// readiness reads the output until all three services listen and returns their
// base URLs by name. It goes on copying the output afterwards.
func readiness(ctx context.Context, output io.Reader, to io.Writer) (map[string]string, error) {
	if to == nil {
		to = io.Discard
	}
	ready, ended := make(chan map[string]string, 1), make(chan string, 1)
	go func() {
		urls, tail := map[string]string{}, []string{}
		lines := bufio.NewScanner(output)
		lines.Buffer(nil, lineLimit)
		for lines.Scan() {
			fmt.Fprintln(to, lines.Text())
			if len(urls) == 3 {
				continue
			}
			tail = append(tail, lines.Text())
			tail = tail[max(0, len(tail)-tailLines):]
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				if urls[m[1]] = m[2]; len(urls) == 3 {
					ready <- urls
				}
			}
		}
		ended <- strings.Join(tail, "; ")
		io.Copy(to, output) // after a line over the limit
	}()
	select {
	case urls := <-ready:
		return urls, nil
	case tail := <-ended:
		return nil, fmt.Errorf("it ended before it listened: %s", tail)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// BlobURL returns the account's Blob endpoint.
func (s *Server) BlobURL() string { return s.endpoint("Blob") }

// QueueURL returns the account's Queue endpoint.
func (s *Server) QueueURL() string { return s.endpoint("Queue") }

// TableURL returns the account's Table endpoint.
func (s *Server) TableURL() string { return s.endpoint("Table") }

func (s *Server) endpoint(service string) string { return s.urls[service] + "/" + accountName }

// ConnectionString returns what the storage SDKs and AzureWebJobsStorage take.
func (s *Server) ConnectionString() string {
	return "DefaultEndpointsProtocol=http" +
		";AccountName=" + accountName +
		";AccountKey=" + accountKey +
		";BlobEndpoint=" + s.BlobURL() +
		";QueueEndpoint=" + s.QueueURL() +
		";TableEndpoint=" + s.TableURL() + ";"
}

// PID returns the id of the process.
func (s *Server) PID() int { return s.process.PID() }

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Err returns, after Done, how the process ended.
func (s *Server) Err() error { return s.process.Err() }

// Stop ends the process, giving it a few seconds to write its data.
func (s *Server) Stop() error { return s.process.Stop() }
