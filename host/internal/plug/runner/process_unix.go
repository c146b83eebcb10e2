//go:build unix && !linux

package runner

import (
	"os"
	"syscall"
)

func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// execByDescriptor: only Linux can execute an open file. Elsewhere the file is hashed and then executed by its path,
// so its directory must not be writable by others.
func execByDescriptor(int) (string, bool) { return "", false }

func (p *Process) reap(child *os.Process) {
	state, err := child.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaped = true
	_ = syscall.Kill(-child.Pid, syscall.SIGKILL)
	if err != nil {
		p.status = err.Error()
		return
	}
	p.status = state.String()
}
