package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// patience is how long something may take that is due at once, on a busy machine.
	patience = 20 * time.Second
	// commandLimit bounds every run of the command line.
	commandLimit = 2 * time.Minute
	// pollInterval is how often a condition is looked at.
	pollInterval = 10 * time.Millisecond
	// loopback is the address at which daemons listen when they may take any port.
	loopback = "127.0.0.1:0"
)

type process struct {
	pid     int
	command string
}

func (p process) kill() error { return syscall.Kill(p.pid, syscall.SIGKILL) }

// network is the directory of one test and the daemons in it. They know no address but those that the test tells.
type network struct {
	t   *testing.T
	dir string
	// config is the file that all daemons start with: a blob store and no discovery.
	config string
}

const isolatedConfig = `plugins: {disk: {kind: blobstore, path: self, required: true}}
blobs: {store: disk}
discovery: []
sync: {interval: 2s}
`

func newNetwork(t *testing.T) *network {
	t.Helper()
	// The names of sockets have to be short, so this is not t.TempDir.
	dir, err := os.MkdirTemp("", "sbe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	n := &network{t: t, dir: dir}
	n.config = n.file("isolated.yaml", isolatedConfig)
	return n
}

// path is a place in the test's directory.
func (n *network) path(elements ...string) string {
	return filepath.Join(append([]string{n.dir}, elements...)...)
}

// file writes a file into the test's directory.
func (n *network) file(name, text string) string {
	n.t.Helper()
	path := n.path(name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// environment keeps the settings of whoever runs the test away from the binary.
func (n *network) environment() []string {
	return []string{"HOME=" + n.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
}

// daemon is a data directory, the process that serves it now, if any, and the command line that speaks to it.
type daemon struct {
	*network
	name, data string
	// args of serve, except for where peers connect, and additions to the environment. newDaemon sets good ones.
	args, env []string

	cmd *exec.Cmd
	// ended has the result of the process.
	ended chan error
	log   *os.File
	// plugins are the processes of plugins that were seen in its status.
	plugins []int
}

// newDaemon returns a daemon that is not running.
func (n *network) newDaemon(name string) *daemon {
	n.t.Helper()
	log, err := os.Create(n.path(name + ".log"))
	if err != nil {
		n.t.Fatal(err)
	}
	d := &daemon{
		network: n, name: name, data: n.path(name), log: log,
		args: []string{"--data", n.path(name), "--config", n.config},
		env:  []string{"SYNCBASE_NODE__NAME=" + name},
	}
	n.t.Cleanup(d.cleanUp)
	return d
}

// start returns a daemon of that name that runs with an authority of its own.
func (n *network) start(name string) *daemon {
	n.t.Helper()
	d := n.newDaemon(name)
	d.serve(loopback)
	return d
}

// startWith returns a daemon that runs with an identity issued by another.
func (n *network) startWith(issuer *daemon, name string) *daemon {
	n.t.Helper()
	d := n.newDaemon(name)
	identity := n.path(name + "-identity")
	n.syncbase("identity", "issue", name, "--data", issuer.data, "--out", identity).must(n.t)
	d.args = append(d.args, "--identity", identity)
	d.serve(loopback)
	return d
}

// serve starts the process and waits until it is ready and its plugins have started, or failed to.
func (d *daemon) serve(listen string) {
	d.t.Helper()
	d.launch(listen)
	until(d.t, d.name+" is ready", patience, func() (bool, string) {
		select {
		case err := <-d.ended:
			d.cmd = nil
			d.t.Fatalf("%s ended: %v", d.name, err)
		default:
		}
		s, err := d.tryStatus()
		if err != nil {
			return false, err.Error()
		}
		for _, p := range s.Plugins {
			if p.State == "starting" {
				return false, "plugin " + p.Name + " is starting"
			}
		}
		return true, ""
	})
	d.see()
}

// launch starts the process and does not wait for anything.
func (d *daemon) launch(listen string) {
	d.t.Helper()
	args := append([]string{"serve"}, d.args...)
	if listen != "" {
		args = append(args, "--peer-listen", listen)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Dir = append(d.environment(), d.env...), d.dir
	cmd.Stdout, cmd.Stderr = d.log, d.log
	if err := cmd.Start(); err != nil {
		d.t.Fatalf("start %s: %v", d.name, err)
	}
	d.cmd, d.ended = cmd, make(chan error, 1)
	go func(ended chan<- error) { ended <- cmd.Wait() }(d.ended)
}

func (d *daemon) signal(s os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatalf("signal %s: %v", d.name, err)
	}
}

// stop asks the process to end, which it has to do well and in time.
func (d *daemon) stop() {
	d.t.Helper()
	d.see() // it may have other plugins than at its start
	d.signal(syscall.SIGTERM)
	if err, ok := d.wait(patience); !ok {
		d.t.Fatalf("%s does not end on SIGTERM", d.name)
	} else if err != nil {
		d.t.Fatalf("%s ended with %v on SIGTERM, want exit 0", d.name, err)
	}
	d.noPlugins()
}

// kill ends the process without warning. Its plugins have to notice by themselves.
func (d *daemon) kill() {
	d.t.Helper()
	d.signal(syscall.SIGKILL)
	if _, ok := d.wait(patience); !ok {
		d.t.Fatalf("%s survives SIGKILL", d.name)
	}
}

// wait waits for the process to end and returns its result, or false if it takes too long.
func (d *daemon) wait(limit time.Duration) (error, bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-d.ended:
		d.cmd = nil
		return err, true
	case <-timer.C:
		return nil, false
	}
}

// see takes note of the processes of the plugins.
func (d *daemon) see() {
	if s, err := d.tryStatus(); err == nil {
		for _, p := range s.Plugins {
			if p.PID > 0 && !slices.Contains(d.plugins, p.PID) {
				d.plugins = append(d.plugins, p.PID)
			}
		}
	}
}

// noPlugins checks that no plugin outlives its daemon.
func (d *daemon) noPlugins() {
	d.t.Helper()
	until(d.t, "the plugins of "+d.name+" end", 2*time.Second, func() (bool, string) {
		for _, pid := range d.plugins {
			if alive(pid) {
				return false, fmt.Sprintf("process %d is alive", pid)
			}
		}
		return true, ""
	})
	d.plugins = nil
}

// cleanUp ends the process, whatever state it is in, and tells what it said when the test has failed.
func (d *daemon) cleanUp() {
	if d.cmd != nil {
		d.see()
		_ = d.cmd.Process.Signal(syscall.SIGCONT)
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		if _, ok := d.wait(patience); !ok {
			d.t.Errorf("%s does not end on SIGTERM", d.name)
			_ = d.cmd.Process.Kill()
			<-d.ended
		}
	}
	for _, pid := range d.plugins {
		deadline := time.Now().Add(2 * time.Second)
		for alive(pid) && time.Now().Before(deadline) {
			time.Sleep(pollInterval)
		}
		if alive(pid) {
			d.t.Errorf("plugin process %d outlives %s", pid, d.name)
			_ = process{pid: pid}.kill()
		}
	}
	if d.t.Failed() {
		d.t.Logf("log of %s:\n%s", d.name, d.logText())
	}
	if err := d.log.Close(); err != nil {
		d.t.Error(err)
	}
}

// logText is what the daemon has said so far, or the last of it.
func (d *daemon) logText() string {
	const most = 64 << 10
	text, err := os.ReadFile(d.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// result is what a run of the command line came to.
type result struct {
	args           []string
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("syncbase %s: exit %d\n%s%s", strings.Join(r.args, " "), r.code, r.stdout, r.stderr)
}

// refused checks that the command has failed with the exit code, and told why in one line with all of the texts.
func (r result) refused(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Fatalf("want exit %d: %s", code, r)
	}
	if strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "syncbase: ") {
		t.Errorf("want one line that says what was wrong: %s", r)
	}
	for _, text := range texts {
		if !strings.Contains(r.stderr, text) {
			t.Errorf("want a message with %q: %s", text, r)
		}
	}
}

// must fails the test unless the command has worked, and returns its output.
func (r result) must(t *testing.T) string {
	t.Helper()
	if r.code != 0 {
		t.Fatal(r)
	}
	return r.stdout
}

// syncbase runs the binary without input.
func (n *network) syncbase(args ...string) result { return n.feed(nil, args...) }

// feed runs the binary with something on its standard input.
func (n *network) feed(stdin io.Reader, args ...string) result {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env, cmd.Dir, cmd.Stdin = n.environment(), n.dir, stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r := result{args: args, stdout: stdout.String(), stderr: stderr.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil:
		r.code, r.stderr = -1, err.Error()
	}
	return r
}

// try runs the command line beside the daemon.
func (d *daemon) try(args ...string) result {
	return d.syncbase(append(args, "--data", d.data)...)
}

// run is try for what has to work.
func (d *daemon) run(args ...string) string {
	d.t.Helper()
	return d.try(args...).must(d.t)
}

// query runs a command and decodes the object that it prints.
func (d *daemon) query(into any, args ...string) {
	d.t.Helper()
	out := d.run(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		d.t.Fatalf("syncbase %s: %v in %q", strings.Join(args, " "), err, out)
	}
}

// status is what the command of that name prints.
type status struct {
	Principal   string
	PeerAddress string `json:"peer_address"`
	Plugins     []struct {
		Name, Kind, State, Message string
		PID, Restarts              int
	}
	Peers []struct {
		Name, Address, Principal string
		Connected                bool
		BytesReceived            int64 `json:"bytes_received"`
		Error                    string
	}
	Syncgroups []struct{ Name string }
}

func (d *daemon) tryStatus() (s status, err error) {
	r := d.try("status", "-o", "json")
	if r.code != 0 {
		return s, errors.New(r.stderr)
	}
	return s, json.Unmarshal([]byte(r.stdout), &s)
}

func (d *daemon) status() status {
	d.t.Helper()
	s, err := d.tryStatus()
	if err != nil {
		d.t.Fatalf("status of %s: %v", d.name, err)
	}
	return s
}

// address is where other daemons reach this one.
func (d *daemon) address() string {
	d.t.Helper()
	return d.status().PeerAddress
}

// received is how much came from all peers since the daemon started.
func (d *daemon) received() (n int64) {
	d.t.Helper()
	for _, p := range d.status().Peers {
		n += p.BytesReceived
	}
	return n
}

// connected reports how many peers the daemon has a link with.
func (d *daemon) connected() (n int) {
	d.t.Helper()
	for _, p := range d.status().Peers {
		if p.Connected {
			n++
		}
	}
	return n
}

// until waits for a condition, which also tells how far it is.
func until(t *testing.T, what string, limit time.Duration, condition func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		done, state := condition()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for: %s; now: %s", limit, what, state)
		}
		time.Sleep(pollInterval)
	}
}
