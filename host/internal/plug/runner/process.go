//go:build unix

package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin/runner"
)

const (
	// killGrace is how long Kill waits for a process that was sent SIGKILL. Only a process stuck in the kernel needs longer.
	killGrace = 5 * time.Second
	// outputGrace is how long output is still read after the process has ended, in case another process holds the pipe.
	outputGrace = 500 * time.Millisecond
)

// Process is one run of a Command. It is used once. All methods are safe for concurrent use.
type Process struct {
	command Command
	dir     string
	out     *Output
	hello   *greeting
	stdout  *io.PipeReader

	exited chan struct{} // closed when the process is gone and reaped
	done   chan struct{} // closed when its output has been read as well

	mu     sync.Mutex // guards the fields below
	pid    int        // 0 until started
	killed bool       // Kill came before the process existed
	reaped bool       // the process group may belong to somebody else now: no more signals
	status string     // how it ended
	leash  *os.File   // nil once let go
}

var _ goplugin.Runner = (*Process)(nil)

// New prepares a process whose sockets must lie in dir and whose output goes to out. It starts nothing.
func New(command Command, dir string, out *Output) *Process {
	stdout, pass := io.Pipe()
	return &Process{
		command: command,
		dir:     dir,
		out:     out,
		hello:   &greeting{out: out, pass: pass},
		stdout:  stdout,
		exited:  make(chan struct{}),
		done:    make(chan struct{}),
	}
}

// Start runs the process. It fails when the executable is missing or is not the pinned one.
func (p *Process) Start(context.Context) error {
	started := make(chan error)
	go p.run(started)
	return <-started
}

// run keeps one thread from fork to wait: the kernel sends the death signal when the thread that forked ends, not when
// its process does.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)

	child, pipes, err := p.fork()
	if err != nil {
		p.hello.pass.Close()
		close(p.exited)
		started <- err
		return
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { p.hello.run(pipes.stdout) })
	pumps.Go(func() { p.out.Copy(pipes.stderr) })
	started <- nil

	p.reap(child)
	close(p.exited)
	p.dropLeash()

	late := time.AfterFunc(outputGrace, pipes.close)
	pumps.Wait()
	late.Stop()
	pipes.close()
}

// outputs are the host's ends of the pipes.
type outputs struct{ stdout, stderr *os.File }

// close may be called more than once.
func (o outputs) close() {
	o.stdout.Close()
	o.stderr.Close()
}

func (p *Process) fork() (*os.Process, outputs, error) {
	exe, err := p.command.open()
	if err != nil {
		return nil, outputs{}, err
	}
	defer exe.Close()

	var ends [3][2]*os.File // stdin, stdout, stderr: read end, write end
	for i := range ends {
		if ends[i][0], ends[i][1], err = os.Pipe(); err != nil {
			closeAll(ends[:])
			return nil, outputs{}, err
		}
	}
	files := []*os.File{ends[0][0], ends[1][1], ends[2][1]}
	child, err := p.exec(exe, files)
	if err != nil {
		closeAll(ends[:])
		return nil, outputs{}, err
	}
	for _, f := range files {
		f.Close()
	}
	p.mu.Lock()
	p.leash = ends[0][1]
	p.mu.Unlock()
	return child, outputs{stdout: ends[1][0], stderr: ends[2][0]}, nil
}

func closeAll(ends [][2]*os.File) {
	for _, pair := range ends {
		pair[0].Close()
		pair[1].Close()
	}
}

// exec starts the process and makes its number known before anybody can miss it.
func (p *Process) exec(exe *os.File, files []*os.File) (*os.Process, error) {
	path := p.command.Path
	if fd, ok := execByDescriptor(len(files)); ok && !p.command.Pin.IsZero() {
		files = append(files, exe)
		path = fd
	}
	argv0 := p.command.Argv0
	if argv0 == "" {
		argv0 = p.command.Path
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed {
		return nil, errors.New("stopped before it was started")
	}
	child, err := os.StartProcess(path, append([]string{argv0}, p.command.Args...), &os.ProcAttr{
		Dir:   "/",
		Env:   p.command.Env,
		Files: files,
		Sys:   sysProcAttr(),
	})
	if err != nil {
		// The path in the error may be the descriptor's.
		var pathErr *os.PathError
		if errors.As(err, &pathErr) {
			err = fmt.Errorf("%s %s: %w", pathErr.Op, p.command.Path, pathErr.Err)
		}
		return nil, err
	}
	p.pid = child.Pid
	return child, nil
}

// Terminate asks the process group to end by SIGTERM.
func (p *Process) Terminate() { p.signal(syscall.SIGTERM) }

// Kill ends the process group and waits until the process is gone, but never longer than a few seconds.
func (p *Process) Kill(ctx context.Context) error {
	if !p.signal(syscall.SIGKILL) {
		return nil
	}
	timer := time.NewTimer(killGrace)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("process %d did not end within %v of SIGKILL", p.Pid(), killGrace)
	}
}

// signal reports whether there is a process to wait for. Signalling a process that does not exist yet prevents its start.
func (p *Process) signal(sig syscall.Signal) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid == 0 {
		p.killed = true
		return false
	}
	if p.reaped {
		return false
	}
	// ESRCH and EPERM mean that nobody is left who could be signalled.
	_ = syscall.Kill(-p.pid, sig)
	return true
}

func (p *Process) dropLeash() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leash != nil {
		p.leash.Close()
		p.leash = nil
	}
}

// Exited is closed as soon as the process is gone.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Done is closed when the process is gone and all it wrote has been read, or when it could not be started.
func (p *Process) Done() <-chan struct{} { return p.done }

// Pid returns the number of the process, 0 before it is started.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid
}

// Status says how the process ended, such as "exit status 3" or "signal: killed"; empty while it runs.
func (p *Process) Status() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Handshake returns whether the process completed the go-plugin handshake line, and what it printed first if that was
// something else.
func (p *Process) Handshake() (seen bool, noise string) { return p.hello.state() }

// Wait implements runner.Runner.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Diagnose implements runner.Runner. The caller of this package composes its own explanation from Status, Handshake and
// Output.
func (p *Process) Diagnose(context.Context) string { return "" }

// Stdout implements runner.Runner: it carries the handshake line and nothing else.
func (p *Process) Stdout() io.ReadCloser { return p.stdout }

// Stderr implements runner.Runner. It is empty: Output has the lines.
func (p *Process) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name implements runner.Runner.
func (p *Process) Name() string { return p.command.Path }

// ID implements runner.Runner.
func (p *Process) ID() string { return strconv.Itoa(p.Pid()) }

// PluginToHost implements runner.Runner: it refuses any address that is not a socket in the process's own directory.
func (p *Process) PluginToHost(network, addr string) (string, string, error) {
	if network != "unix" || filepath.Dir(filepath.Clean(addr)) != p.dir {
		return "", "", fmt.Errorf("plugin listens at %s %q, want a Unix socket in %s", network, addr, p.dir)
	}
	return network, addr, nil
}

// HostToPlugin implements runner.Runner.
func (p *Process) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

// SetEnv replaces the environment of the command. It has no effect once the process is started.
func (p *Process) SetEnv(env []string) { p.command.Env = env }
