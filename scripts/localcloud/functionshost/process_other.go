//go:build !linux

package functionshost

import "os/exec"

// dieWithParent does nothing: only Linux ties a process to the one that
// started it. An end of this program other than by a crash kills the handler.
func dieWithParent(*exec.Cmd) {}
