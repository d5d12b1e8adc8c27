//go:build unix && !linux

package supervise

import "syscall"

// dieWithParent does nothing: outside Linux a child survives a supervisor that
// was ended by SIGKILL, and only by that.
func dieWithParent(*syscall.SysProcAttr) {}

// awaitExit reports that this system cannot wait without reaping.
func awaitExit(int) bool { return false }
