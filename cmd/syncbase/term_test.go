package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestTerm wants a daemon that gets SIGTERM to finish and exit with 0, a watch notwithstanding.
func TestTerm(t *testing.T) {
	dir, err := os.MkdirTemp("", "sb") // short, since the path of a socket is limited to about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// The first argument makes the test binary the program; see TestMain.
	bin := filepath.Join(dir, "syncbase")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, bin); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "node.yaml")
	if err := os.WriteFile(config, []byte("node: {listen: []}\nplugins: {}\nblobs: {store: \"\"}\ndiscovery: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	daemon := exec.Command(bin, "serve", "--config", config, "--data", data)
	daemon.Stderr = os.Stderr
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the daemon said %q, %v", line, err)
	}
	for _, args := range [][]string{{"db", "create", "d"}, {"collection", "create", "d", "c"}, {"put", "d", "c", "k", "1"}} {
		if text, err := exec.Command(bin, append([]string{"--data", data}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v, %s", args, err, text)
		}
	}
	watch := exec.Command(bin, "--data", data, "watch", "d", "--initial", "--collections")
	changes, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(changes)
	for _, want := range []string{"collection c Admin,Read,Write\n", "put c k 1\n"} {
		if line, err := lines.ReadString('\n'); err != nil || line != want {
			t.Fatalf("the watch said %q, %v; want %q", line, err, want)
		}
	}
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); err != nil {
		t.Errorf("the daemon ended with %v, want 0", err)
	}
	if err := watch.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := watch.Wait(); err != nil {
		t.Errorf("the watch ended with %v, want 0", err)
	}
}
