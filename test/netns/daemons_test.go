package netns

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binaryKey tells the process inside where the daemon is that the one outside has built.
const binaryKey = "SYNCBASE_NETNS_BINARY"

// reference: store-128 a device joins where it knows of nobody but by the local network.
//
// TestDaemonsFindEachOtherByMulticast runs two daemons that know no address of each other. B has an identity that A has
// issued, joins A's syncgroup without naming a peer, and ends up with the same rows.
func TestDaemonsFindEachOtherByMulticast(t *testing.T) {
	binary := os.Getenv(binaryKey)
	if binary == "" {
		enterCommand(t) // builds nothing where the test cannot run
		binary = buildDaemon(t)
	}
	if !Inside(t, binaryKey+"="+binary) {
		return
	}
	pair := NewPair(t, Options{})
	dir := shortDir(t)
	a := &daemon{machine: pair.A, binary: binary, data: filepath.Join(dir, "a")}
	b := &daemon{machine: pair.B, binary: binary, data: filepath.Join(dir, "b")}
	issued := filepath.Join(dir, "issued")

	a.serve(t)
	a.run(t, "identity", "issue", "b", "--data", a.data, "--out", issued)
	a.run(t, "db", "create", "places")
	a.run(t, "collection", "create", "places", "cities")
	for i := range 100 {
		a.run(t, "put", "places", "cities", fmt.Sprintf("city-%03d", i), fmt.Sprintf(`{"number":%d}`, i))
	}
	a.run(t, "syncgroup", "create", "places", "all", "--collection", "cities")

	b.serve(t, "--identity", issued)
	b.run(t, "syncgroup", "join", "places", "all")
	b.run(t, "syncgroup", "wait", "places", "all", "--timeout", "60s")
	want, got := a.run(t, "export", "places", "cities"), b.run(t, "export", "places", "cities")
	if want == "" || got != want {
		t.Errorf("A exports %d bytes, B %d bytes:\n%.500s\n%.500s", len(want), len(got), want, got)
	}

	// What is written later on either side comes to the other by itself; also what was written without a connection.
	b.run(t, "put", "places", "cities", "from-b", `{"number":1000}`)
	a.until(t, "from-b", "get", "places", "cities", "from-b", "-o", "json")
	pair.B.Cut(t)
	a.run(t, "put", "places", "cities", "cut-a", `{"number":1001}`)
	b.run(t, "put", "places", "cities", "cut-b", `{"number":1002}`)
	pair.B.Mend(t)
	a.until(t, "cut-b", "get", "places", "cities", "cut-b", "-o", "json")
	b.until(t, "cut-a", "get", "places", "cities", "cut-a", "-o", "json")
}

// buildDaemon builds the binary as a user would.
func buildDaemon(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "syncbase")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/syncbase/syncbase/cmd/syncbase")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the daemon: %v\n%s", err, out)
	}
	return binary
}

// shortDir is a directory whose name leaves room for the names of sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sbn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// daemon is a daemon on a machine, and the command line beside it.
type daemon struct {
	machine *Machine
	binary  string
	data    string
}

func (d *daemon) socket() string { return filepath.Join(d.data, "syncbase.sock") }

// environment keeps the settings of whoever runs the test away from the daemon.
func (d *daemon) environment() []string {
	return []string{"HOME=" + filepath.Dir(d.data), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
}

// serve starts the daemon, waits until it answers, and ends it with the test.
func (d *daemon) serve(t *testing.T, args ...string) {
	t.Helper()
	cmd := d.machine.Command(d.binary, append([]string{"serve", "--data", d.data}, args...)...)
	cmd.Env = d.environment()
	log, err := os.Create(d.data + ".log")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", d.data, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		d.end(t, cmd.Process, ended)
		if text, err := os.ReadFile(log.Name()); err != nil || t.Failed() {
			t.Logf("log of %s (%v):\n%s", filepath.Base(d.data), err, text)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	deadline := time.Now().Add(patience)
	for {
		out, err := d.try("status")
		if err == nil {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the daemon of %s ended: %v", filepath.Base(d.data), err)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the daemon of %s does not answer: %v: %s", filepath.Base(d.data), err, out)
		}
	}
}

// end asks the daemon to end, which it has to do well and in time.
func (d *daemon) end(t *testing.T, process *os.Process, ended <-chan error) {
	t.Helper()
	if err := process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("end %s: %v", filepath.Base(d.data), err)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the daemon of %s ended with %v", filepath.Base(d.data), err)
		}
	case <-timer.C:
		t.Errorf("the daemon of %s does not end", filepath.Base(d.data))
		if err := process.Kill(); err != nil {
			t.Error(err)
		}
		<-ended
	}
}

// try runs a command beside the daemon.
func (d *daemon) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := d.machine.CommandContext(ctx, d.binary, append([]string{"--address", "unix://" + d.socket()}, args...)...)
	cmd.Env = d.environment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("syncbase %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// run is try for what has to work.
func (d *daemon) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := d.try(args...)
	if err != nil {
		t.Fatalf("on %s: %v", filepath.Base(d.data), err)
	}
	return out
}

// until repeats a command until it works and its output has the text.
func (d *daemon) until(t *testing.T, text string, args ...string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		out, err := d.try(args...)
		if err == nil && strings.Contains(out, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("on %s: waited for %q, last: %v: %s", filepath.Base(d.data), text, err, out)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
