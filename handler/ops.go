package main

import (
	"context"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/certwright/certwright/handler/internal/ops"
)

// runOps is the operators' client of a vault, which need not run here. It obeys
// proxy variables, as other clients do.
func runOps(args []string, t terminal) error {
	return ops.Run(context.Background(), ops.Config{
		Args:      args,
		Getenv:    t.getenv,
		Stdout:    t.out,
		Transport: http.DefaultTransport,
		Credential: func() (azcore.TokenCredential, error) {
			return azidentity.NewDefaultAzureCredential(nil)
		},
		Now: time.Now,
	})
}
