package runner

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// execByDescriptor returns the path by which a child executes the open file that it inherits as number n.
func execByDescriptor(n int) (string, bool) { return fmt.Sprintf("/proc/self/fd/%d", n), true }

// reap waits for the child and ends what is left of its group. The group is signalled while the child is still a zombie,
// when its number cannot have been given to anybody else.
func (p *Process) reap(child *os.Process) {
	for unix.Waitid(unix.P_PID, child.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = syscall.Kill(-child.Pid, syscall.SIGKILL)
	p.status = describe(child.Wait())
	p.reaped = true
}

func describe(state *os.ProcessState, err error) string {
	if err != nil {
		return err.Error()
	}
	return state.String()
}
