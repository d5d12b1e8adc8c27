package e2e

// Requests as people send them in a shell: with curl.

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
)

// curl sends requests to a vault of the cloud as people do in a shell that has
// sourced its settings: with curl. On a machine that has none, this program goes
// the same way by itself.
func (c *cloud) curl(ctx context.Context, vault string) (sender, error) {
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	program, err := exec.LookPath("curl")
	if errors.Is(err, exec.ErrNotFound) {
		client, err := c.httpClient()
		if err != nil {
			return nil, err
		}
		direct := &api{url: vault, token: token, http: client}
		return func(ctx context.Context, method, target, body string) (answer, error) {
			return direct.do(ctx, method, target, body)
		}, nil
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, method, target, body string) (answer, error) {
		// Not as arguments: those are for everybody to read.
		config := fmt.Sprintf("request = %s\nurl = %s\nheader = %s\n",
			quoted(method), quoted(vault+target), quoted("Authorization: Bearer "+token))
		if body != "" {
			config += "data-binary = " + quoted(body) + "\n"
		}
		cmd := exec.CommandContext(ctx, program, "--silent", "--show-error", "--include", "--raw",
			"--suppress-connect-headers", "--max-time", fmt.Sprint(int(requestLimit.Seconds())), "--config", "-")
		cmd.Env = c.environ
		cmd.Stdin = strings.NewReader(config)
		var output, message bytes.Buffer
		cmd.Stdout, cmd.Stderr = &output, &message
		if err := cmd.Run(); err != nil {
			return answer{}, fmt.Errorf("curl: %w: %s", err, bytes.TrimSpace(message.Bytes()))
		}
		response, err := http.ReadResponse(bufio.NewReader(&output), &http.Request{Method: method})
		if err != nil {
			return answer{}, fmt.Errorf("reading what curl printed: %w", err)
		}
		defer response.Body.Close()
		return read(response)
	}, nil
}

// quoted quotes a value for a configuration file of curl.
func quoted(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(value) + `"`
}
