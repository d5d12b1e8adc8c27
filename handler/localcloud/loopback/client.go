package loopback

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// callTimeout bounds one call of a server on this machine.
	callTimeout = 5 * time.Second
	// answerLimit bounds an answer that Get reads, in bytes.
	answerLimit = 256 << 10
)

// NewClient makes a client for one server on this machine, which roots verify if
// it speaks TLS.
func NewClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Timeout: callTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

// Get returns the body at a URL, up to 256 KiB of it.
func Get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("getting %q: %w", url, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("getting %q: %w", url, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("getting %q: %s", url, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, answerLimit))
}
