package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// reader takes what a command prints as head does: it may go away before the end.
type reader struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   *os.File
	lines *bufio.Reader
	errs  *bytes.Buffer
	ended chan error
}

// read starts the command beside the daemon.
func (d *daemon) read(args ...string) *reader {
	d.t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	r := &reader{t: d.t, out: out, lines: bufio.NewReaderSize(out, 16), errs: &bytes.Buffer{}, ended: make(chan error, 1)}
	r.cmd = exec.Command(binary, append(args, "--data", d.data)...)
	r.cmd.Env, r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = d.environment(), d.dir, in, r.errs
	if err := errors.Join(r.cmd.Start(), in.Close()); err != nil {
		d.t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait() }()
	d.t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	return r
}

// begins reads the first line.
func (r *reader) begins(with string) {
	r.t.Helper()
	if line, err := r.lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, with) {
		r.t.Fatalf("it printed %q, %v; want %q", line, err, with)
	}
}

// leave closes the pipe.
func (r *reader) leave() {
	r.t.Helper()
	if err := r.out.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// over wants the command to have ended as programs do whose reader has gone, without a word.
func (r *reader) over() bool {
	r.t.Helper()
	select {
	case err := <-r.ended:
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGPIPE {
			r.t.Errorf("%s ended with %v, want SIGPIPE", r.cmd.Args[1], err)
		}
		if r.errs.Len() > 0 {
			r.t.Errorf("%s said %q when nobody read on", r.cmd.Args[1], r.errs)
		}
		return true
	default:
		return false
	}
}

// TestReaderLeaves closes the pipe that commands write to, as head -1 does: they end at their next write, quietly, as other programs
// do. The daemon goes on.
func TestReaderLeaves(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	var rows strings.Builder
	for i := range 8000 {
		fmt.Fprintf(&rows, "{\"key\":\"%04d\",\"value\":%q}\n", i, strings.Repeat("v", 50))
	}
	n.feed(strings.NewReader(rows.String()), "import", "places", "cities", "-", "--data", a.data).must(t)
	for _, c := range []struct {
		with string
		args []string
	}{
		{`{"key":"0000"`, []string{"export", "places", "cities"}},
		{"0000\t", []string{"scan", "places", "cities"}},
		{`{"key":"0000"`, []string{"scan", "places", "cities", "-o", "json"}},
		{"put cities 0000 ", []string{"watch", "places", "--initial"}},
	} {
		r := a.read(c.args...)
		r.begins(c.with)
		r.leave()
		until(t, strings.Join(c.args, " ")+" ends", patience, func() (bool, string) { return r.over(), "it runs" })
	}
	// A watch with nothing to print cannot know; the next change tells it.
	a.run("put", "places", "cities", "w0", "1")
	watch := a.read("watch", "places", "--prefix", "w", "--initial")
	watch.begins("put cities w0 1")
	watch.leave()
	if watch.over() {
		t.Error("the watch ended although nothing happened")
	}
	a.run("put", "places", "cities", "w1", "1")
	until(t, "the watch ends", patience, func() (bool, string) { return watch.over(), "it runs" })
	a.gets("w1")
}

// TestClosedOutput runs commands whose standard output is closed, as by >&-: that is to print nothing, and no failure.
func TestClosedOutput(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	for _, c := range []struct {
		code   int
		stderr string
		args   []string
	}{
		{0, "", []string{"put", "places", "cities", "silent", "1"}},
		{0, "", []string{"get", "places", "cities", "silent"}},
		{0, "", []string{"scan", "places", "cities", "-o", "json"}},
		{0, "", []string{"export", "places", "cities"}},
		{0, "", []string{"status"}},
		{3, "no such row", []string{"get", "places", "cities", "nothing"}},
	} {
		cmd := exec.Command("sh", append([]string{"-c", `exec "$0" "$@" >&-`, binary}, append(c.args, "--data", a.data)...)...)
		cmd.Env, cmd.Dir = n.environment(), n.dir
		var errs bytes.Buffer
		cmd.Stderr = &errs
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(errs.String(), c.stderr) || c.stderr == "" && errs.Len() > 0 {
			t.Errorf("%v: exit code %d, %q", c.args, code, &errs)
		}
	}
	a.gets("silent")
}
