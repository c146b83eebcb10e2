package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// testDaemon is a daemon in a process of its own, with a database d that has a collection c.
type testDaemon struct {
	bin, data string
	cmd       *exec.Cmd
}

// startDaemon starts a daemon that shares nothing and has no plugins. It is killed with the test if it still runs.
func startDaemon(t *testing.T) *testDaemon {
	dir, err := os.MkdirTemp("", "sb") // short, since the path of a socket is limited to about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// The first argument makes the test binary the program; see TestMain.
	d := &testDaemon{bin: filepath.Join(dir, "syncbase"), data: filepath.Join(dir, "data")}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, d.bin); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "node.yaml")
	if err := os.WriteFile(config, []byte("node: {listen: []}\nplugins: {}\nblobs: {store: \"\"}\ndiscovery: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.cmd = exec.Command(d.bin, "serve", "--config", config, "--data", d.data)
	d.cmd.Stderr = os.Stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.cmd.ProcessState == nil {
			_ = d.cmd.Process.Kill()
			_ = d.cmd.Wait()
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the daemon said %q, %v", line, err)
	}
	d.run(t, "db", "create", "d")
	d.run(t, "collection", "create", "d", "c")
	return d
}

// run runs a command that has to go well.
func (d *testDaemon) run(t *testing.T, args ...string) {
	t.Helper()
	if text, err := exec.Command(d.bin, append([]string{"--data", d.data}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v, %s", args, err, text)
	}
}
