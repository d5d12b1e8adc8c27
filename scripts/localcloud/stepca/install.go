// Package stepca installs and runs step-ca, Smallstep's certificate authority
// (https://github.com/smallstep/certificates), with one JWK and one ACME
// provisioner. It listens on 127.0.0.1 only and needs nothing from elsewhere.
package stepca

import (
	"context"
	"path/filepath"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

const (
	module  = "github.com/smallstep/certificates"
	version = "v0.30.2"
	program = "step-ca"
)

// Install makes sure that step-ca is installed in the working copy and returns
// the program's path. Without cgo it lacks what smart cards need.
func Install(ctx context.Context, c checkout.Checkout) (string, error) {
	dir, err := c.Once(ctx, "tools/stepca-"+version, checkout.GoPrograms(module, version, program))
	return filepath.Join(dir, program), err
}
