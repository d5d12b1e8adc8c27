// Package pebble installs and runs Pebble, Let's Encrypt's ACME server for tests
// (https://github.com/letsencrypt/pebble), and its companion that answers
// challenges. Both keep everything in memory and listen on 127.0.0.1 only.
package pebble

import (
	"context"
	"path/filepath"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

const (
	module  = "github.com/letsencrypt/pebble/v2"
	version = "v2.10.1"
)

// The programs of the module.
const (
	serverProgram     = "pebble"
	challengesProgram = "pebble-challtestsrv"
)

// Install makes sure that both programs are installed in the working copy and
// returns their folder.
func Install(ctx context.Context, c checkout.Checkout) (string, error) {
	return c.Once(ctx, "tools/pebble-"+version, checkout.GoPrograms(module, version, serverProgram, challengesProgram))
}

// find is Install in the working copy that the working directory lies in,
// unless another is given.
func find(ctx context.Context, c checkout.Checkout, program string) (string, error) {
	tree, err := c.OrHere()
	if err != nil {
		return "", err
	}
	dir, err := Install(ctx, tree)
	return filepath.Join(dir, program), err
}
