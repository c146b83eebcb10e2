package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOrderlyStop stops a daemon while a client watches. stop checks that it exits with 0 and leaves no plugins; the
// client goes on when the daemon is back.
func TestOrderlyStop(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	a.run("put", "places", "cities", "kept", "1")
	watch := n.watch(a, "places", "--initial")
	watch.shows("kept")
	a.stop()
	if _, err := os.Stat(filepath.Join(a.data, "syncbase.sock")); err == nil {
		t.Error("the socket is still there")
	}
	a.serve(loopback)
	a.gets("kept")
	a.run("put", "places", "cities", "later", "1")
	watch.shows("later")
	watch.interrupt()
}

// watching is a run of the command watch.
type watching struct {
	t    *testing.T
	cmd  *exec.Cmd
	file string
	done bool
}

// watch runs the command until it is interrupted, or the test ends.
func (n *network) watch(d *daemon, args ...string) *watching {
	n.t.Helper()
	w := &watching{t: n.t, file: n.path("watch.out")}
	out, err := os.Create(w.file)
	if err != nil {
		n.t.Fatal(err)
	}
	defer out.Close()
	w.cmd = exec.Command(binary, append([]string{"watch", "--data", d.data, "-o", "json"}, args...)...)
	w.cmd.Env, w.cmd.Dir, w.cmd.Stdout, w.cmd.Stderr = n.environment(), n.dir, out, out
	if err := w.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if !w.done {
			_ = w.cmd.Process.Kill()
			_ = w.cmd.Wait()
		}
	})
	return w
}

// shows waits until a change of the key has been printed.
func (w *watching) shows(key string) {
	w.t.Helper()
	until(w.t, "the watch shows "+key, patience, func() (bool, string) {
		text, err := os.ReadFile(w.file)
		return err == nil && strings.Contains(string(text), `"key":"`+key+`"`), string(text)
	})
}

// interrupt ends the command as a person does, which is no failure.
func (w *watching) interrupt() {
	w.t.Helper()
	w.done = true
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		w.t.Error(err)
	}
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("watch ended with %v when it was interrupted", err)
	}
}

// reference: store-095 a row that was acknowledged before the daemon was killed is there when it is back.
//
// TestKilledDaemon kills a daemon with SIGKILL: its plugins end by themselves, and what it leaves lying about does not keep
// it from starting again.
func TestKilledDaemon(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	if len(a.plugins) == 0 {
		t.Fatal("no plugin process is known")
	}
	for _, key := range []string{"first", "second"} {
		a.run("put", "places", "cities", key, "1")
		a.kill()
		a.noPlugins()
		if _, err := os.Stat(filepath.Join(a.data, "syncbase.sock")); err != nil {
			t.Errorf("the test wants a socket that is left over: %v", err)
		}
		a.serve(loopback)
		a.gets(key)
	}
}

// TestDataDirectoryInUse starts a second daemon on the directory of the first.
func TestDataDirectoryInUse(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	n.syncbase("serve", "--data", a.data, "--config", n.config).refused(t, 1, "in use", a.data)
	a.run("put", "places", "cities", "first is unharmed", "1")
	a.gets("first is unharmed")
}

// TestMembersFindEachOtherAgain restarts both members of a syncgroup where they were. Nobody tells them about each other again.
func TestMembersFindEachOtherAgain(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	b := n.startWith(a, "b")
	join(b, a, "normal")
	level(b, a)
	atA, atB := a.address(), b.address()
	a.stop()
	b.stop()
	b.serve(atB)
	b.run("put", "places", "cities", "written alone", "1")
	a.serve(atA)
	a.gets("written alone")
	a.run("put", "places", "cities", "written together", "1")
	b.gets("written together")
}
