package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

const (
	// lookInterval is how often a condition is looked at, and callLimit how long one look may take.
	lookInterval = 50 * time.Millisecond
	callLimit    = 20 * time.Second
	// logTail is how much of a log is shown.
	logTail = 12 << 10
)

// node is a daemon that is killed, frozen and cut off, with a connection for the test.
type node struct {
	*daemon
	name   string
	config string
	args   []string
	log    *os.File

	// cmd is nil while the daemon is down on purpose; ended has the result of the process.
	cmd    *exec.Cmd
	ended  chan error
	client *client.Client
}

// newNode returns a daemon on a machine that does not run yet. It knows its peers' addresses and has no other way to find
// them but what members publish.
func newNode(t *testing.T, d *daemon, name string, peers []string) *node {
	t.Helper()
	n := &node{daemon: d, name: name, config: d.data + ".yaml"}
	text := fmt.Sprintf(`node: {name: %s, listen: ["0.0.0.0:%d"], peers: ["%s"]}
plugins: {disk: {kind: blobstore, path: self, required: true}}
discovery: []
`, name, peerPort, strings.Join(peers, `", "`))
	if err := os.WriteFile(n.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var err error
	if n.log, err = os.Create(d.data + ".log"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.cleanUp(t) })
	return n
}

// start runs the daemon and connects to it.
func (n *node) start(t *testing.T) {
	t.Helper()
	n.cmd = n.machine.Command(n.binary, append([]string{"serve", "--data", n.data, "--config", n.config}, n.args...)...)
	n.cmd.Env = n.environment()
	n.cmd.Stdout, n.cmd.Stderr = n.log, n.log
	if err := n.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", n.name, err)
	}
	n.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }(n.cmd, n.ended)
	if n.client != nil {
		if err := n.client.Close(); err != nil {
			t.Error(err)
		}
	}
	n.client = n.connect(t)
}

// connect waits until the daemon answers.
func (n *node) connect(t *testing.T) *client.Client {
	t.Helper()
	var c *client.Client
	await(t, n.name+" answers", patience, func() (bool, string) {
		n.lives(t)
		ctx, cancel := context.WithTimeout(t.Context(), callLimit)
		defer cancel()
		var err error
		c, err = client.Dial(ctx, "unix://"+n.socket(), client.Options{})
		return err == nil, fmt.Sprint(err)
	})
	return c
}

// lives checks that the process has not ended by itself.
func (n *node) lives(t *testing.T) {
	t.Helper()
	if n.cmd == nil {
		return
	}
	select {
	case err := <-n.ended:
		n.cmd = nil
		t.Fatalf("%s ended by itself: %v", n.name, err)
	default:
	}
}

func (n *node) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %s: %v", n.name, err)
	}
}

// wait returns the result of a process that was told to end.
func (n *node) wait(t *testing.T) error {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-n.ended:
		n.cmd = nil
		return err
	case <-timer.C:
		t.Fatalf("%s does not end within %v", n.name, patience)
		return nil
	}
}

// kill ends the process without warning; its plugins end by themselves.
func (n *node) kill(t *testing.T) {
	t.Helper()
	var plugins []int
	for _, p := range n.status(t).Plugins {
		plugins = append(plugins, int(p.PID))
	}
	n.signal(t, syscall.SIGKILL)
	if err := n.wait(t); err == nil {
		t.Fatalf("%s survived its kill", n.name)
	}
	await(t, "the plugins of "+n.name+" end", patience, func() (bool, string) {
		for _, pid := range plugins {
			// One that has ended and that nobody has asked for its result has no program any more.
			if _, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && pid > 0 {
				return false, fmt.Sprintf("process %d is alive", pid)
			}
		}
		return true, ""
	})
}

func (n *node) status(t *testing.T) client.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callLimit)
	defer cancel()
	s, err := n.client.Status(ctx)
	if err != nil {
		n.lives(t)
		t.Fatalf("status of %s: %v", n.name, err)
	}
	return s
}

// connectedTo reports whether the daemon has a link with another.
func (n *node) connectedTo(t *testing.T, other *node) bool {
	t.Helper()
	for _, p := range n.status(t).Peers {
		if p.Name == other.name && p.Connected {
			return true
		}
	}
	return false
}

// received is how much came from all peers since the daemon started.
func (n *node) received(t *testing.T) (sum uint64) {
	t.Helper()
	for _, p := range n.status(t).Peers {
		sum += p.BytesReceived
	}
	return sum
}

// alarm is what no daemon may ever say.
var alarm = regexp.MustCompile(`(?m)^.*(panic|DATA RACE|fatal error|SIGSEGV|\[ERROR\]).*$`)

func (n *node) logText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(n.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cleanUp ends what is left of a test that failed, and tells what the daemon said.
func (n *node) cleanUp(t *testing.T) {
	var err error
	if n.client != nil {
		err = n.client.Close()
	}
	if n.cmd != nil {
		_ = n.cmd.Process.Kill()
		<-n.ended
	}
	if t.Failed() {
		text := n.logText(t)
		t.Logf("log of %s:\n%s", n.name, text[max(0, len(text)-logTail):])
	}
	if err := errors.Join(err, n.log.Close()); err != nil {
		t.Error(err)
	}
}

// processesOf lists the living processes that run a program.
func processesOf(program string) (found []string) {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.TrimSuffix(target, " (deleted)") == program {
			found = append(found, filepath.Base(filepath.Dir(link)))
		}
	}
	return found
}

// await waits for a condition, which also tells how far it is, and returns how long that took.
func await(t *testing.T, what string, limit time.Duration, condition func() (bool, string)) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		done, state := condition()
		took := time.Since(began)
		if done {
			return took
		}
		if took > limit {
			t.Fatalf("waited %v for: %s; now: %s", limit, what, state)
		}
		time.Sleep(lookInterval)
	}
}
