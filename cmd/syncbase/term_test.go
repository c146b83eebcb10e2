package main

import (
	"bufio"
	"os/exec"
	"syscall"
	"testing"
)

// TestTerm wants a daemon that gets SIGTERM to finish and exit with 0, a watch notwithstanding.
func TestTerm(t *testing.T) {
	daemon := startDaemon(t)
	daemon.run(t, "put", "d", "c", "k", "1")
	watch := exec.Command(daemon.bin, "--data", daemon.data, "watch", "d", "--initial", "--collections")
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
	if err := daemon.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := daemon.cmd.Wait(); err != nil {
		t.Errorf("the daemon ended with %v, want 0", err)
	}
	if err := watch.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := watch.Wait(); err != nil {
		t.Errorf("the watch ended with %v, want 0", err)
	}
}
