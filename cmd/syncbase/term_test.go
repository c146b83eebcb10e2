package main

import (
	"bufio"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

// TestTerm wants a daemon that is told to end, or whose terminal is closed, to finish and exit with 0, a watch notwithstanding.
func TestTerm(t *testing.T) {
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(end.String(), func(t *testing.T) { term(t, end) })
	}
}

func term(t *testing.T, end syscall.Signal) {
	// What is ignored here, as under nohup, would be by the daemon; what is caught is not.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, end)
	defer signal.Stop(caught)
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
	if err := daemon.cmd.Process.Signal(end); err != nil {
		t.Fatal(err)
	}
	if err := daemon.cmd.Wait(); err != nil {
		t.Errorf("the daemon ended with %v, want 0", err)
	}
	if err := watch.Process.Signal(end); err != nil {
		t.Fatal(err)
	}
	if err := watch.Wait(); err != nil {
		t.Errorf("the watch ended with %v, want 0", err)
	}
}
