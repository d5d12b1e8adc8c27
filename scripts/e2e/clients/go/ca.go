package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// sign brings a CSR to the CA and returns its certificates.
func sign(ctx context.Context, csr []byte) ([][]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("CERTWRIGHT_E2E_CA"), bytes.NewReader(csr))
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	var chain [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		chain = append(chain, block.Bytes)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("the CA answers %s: %s", answer.Status, text)
	}
	return chain, nil
}

// material is a file with a certificate or a key that was made elsewhere.
func material(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(os.Getenv("CERTWRIGHT_E2E_MATERIAL"), name))
}
