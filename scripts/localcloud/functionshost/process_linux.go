package functionshost

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the process if this one ends first, even
// by SIGKILL.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
