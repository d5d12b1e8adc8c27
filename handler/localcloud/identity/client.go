package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	clientTimeout = 10 * time.Second
	answerLimit   = 64 << 10
)

// RequestToken asks the endpoint for a token, as an SDK does, for people who
// want one for curl. endpoint and header are the values of IDENTITY_ENDPOINT and
// IDENTITY_HEADER.
func RequestToken(ctx context.Context, endpoint, header, resource string) (string, error) {
	query := url.Values{"resource": {resource}, "api-version": {apiVersion}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"?"+query.Encode(), nil)
	if err != nil {
		return "", fmt.Errorf("asking %q for a token: %w", endpoint, err)
	}
	request.Header.Set("X-IDENTITY-HEADER", header)
	client := http.Client{Timeout: clientTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("asking %q for a token: %w", endpoint, err)
	}
	defer response.Body.Close()
	var body struct {
		AccessToken string `json:"access_token"`
		Message     string `json:"message"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, answerLimit)).Decode(&body); err != nil {
		return "", fmt.Errorf("reading the answer of %q: %w", endpoint, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("asking %q for a token: %s: %s", endpoint, response.Status, body.Message)
	}
	return body.AccessToken, nil
}
