package azstore

// The HTTP client of the store ignores proxies and follows no redirect.

import (
	"net/http"
	"testing"
)

// A proxy variable may be set for a development proxy, which must not see
// storage tokens; Azure Storage never redirects.
func TestHTTPClientGoesStraight(t *testing.T) {
	t.Parallel()
	client := newHTTPClient()
	if client.Transport.(*http.Transport).Proxy != nil {
		t.Error("the client asks for a proxy")
	}
	if err := client.CheckRedirect(nil, nil); err != http.ErrUseLastResponse {
		t.Errorf("the client follows redirects: %v", err)
	}
}
