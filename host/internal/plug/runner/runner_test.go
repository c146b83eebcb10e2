package runner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParsePin(t *testing.T) {
	good := "sha256:" + strings.Repeat("0f", 32)
	pin, err := ParsePin(good)
	if err != nil || pin.IsZero() || pin.String() != good {
		t.Errorf("got %v, %v", pin, err)
	}
	if pin, err := ParsePin(""); err != nil || !pin.IsZero() {
		t.Errorf("empty: got %v, %v", pin, err)
	}
	for _, bad := range []string{"0f", "sha1:0f", "sha256:", "sha256:0f", "sha256:" + strings.Repeat("zz", 32), good + "00"} {
		if _, err := ParsePin(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestEnvironmentLayers(t *testing.T) {
	t.Setenv("PATH", "/host")
	t.Setenv("SECRET", "x")
	got := Environment(map[string]string{"PATH": "/own", "PROTOCOL": "forged"}, []string{"PROTOCOL=1", "COOKIE=a=b"})
	for _, want := range []string{"PATH=/own", "PROTOCOL=1", "COOKIE=a=b"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q lacks %s", got, want)
		}
	}
	if slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "SECRET") }) {
		t.Errorf("%q has a secret", got)
	}
}

func TestRunDirIsChecked(t *testing.T) {
	if err := CheckRunDir("/run/syncbase"); err != nil {
		t.Error(err)
	}
	longest := maxSocketPath() - socketSuffix
	if err := CheckRunDir("/" + strings.Repeat("x", longest-1)); err != nil {
		t.Errorf("the longest: %v", err)
	}
	for _, bad := range []string{"", "run", "/" + strings.Repeat("x", longest)} {
		if err := CheckRunDir(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestDirsAreSweptAndPrivate(t *testing.T) {
	run := t.TempDir()
	if err := os.MkdirAll(filepath.Join(run, "p", "1", "old"), 0o700); err != nil {
		t.Fatal(err)
	}
	dirs, err := NewDirs(run)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(run, "p", "1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was there is still there: %v", err)
	}
	first, err := dirs.Make()
	if err != nil {
		t.Fatal(err)
	}
	second, err := dirs.Make()
	if err != nil || first == second {
		t.Fatalf("%q, %q, %v", first, second, err)
	}
	if info, err := os.Stat(first); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestOutputCutsLines(t *testing.T) {
	long := strings.Repeat("x", 3*maxLine)
	for _, step := range []int{1, 7, 4096, 1 << 20} {
		var lines []string
		out := NewOutput(func(line []byte) { lines = append(lines, string(line)) })
		w := out.Writer()
		for text := "one\n\ntwo\n" + long + "\nthree\nunfinished"; text != ""; {
			n := min(step, len(text))
			if _, err := io.WriteString(w, text[:n]); err != nil {
				t.Fatal(err)
			}
			text = text[n:]
		}
		want := []string{"one", "two", long[:maxLine], "three"}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Errorf("steps of %d: %s", step, diff)
		}
	}
}

func TestOutputRemembersTheLastLines(t *testing.T) {
	out := NewOutput(nil)
	for i := range 1000 {
		out.Line(fmt.Appendf(nil, "%d", i))
	}
	tail := out.Tail()
	if len(tail) != tailLines || tail[0] != "936" || tail[63] != "999" {
		t.Errorf("%d lines: %q", len(tail), tail)
	}
	out.Line(bytes.Repeat([]byte("x"), 1<<20))
	if last := out.Tail()[63]; len(last) != tailLineMax {
		t.Errorf("the last line has %d bytes", len(last))
	}
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// start runs a shell script and returns what go-plugin would see on its standard output.
func start(t *testing.T, script string) (*Process, func() string) {
	t.Helper()
	dir := t.TempDir()
	p := New(Command{Path: "/bin/sh", Args: []string{"-c", script}}, dir, NewOutput(nil))
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(context.Background()); err != nil {
			t.Error(err)
		}
		<-p.Done()
	})
	read := sync.OnceValue(func() string {
		data, err := io.ReadAll(p.Stdout())
		if err != nil {
			t.Error(err)
		}
		return string(data)
	})
	return p, read
}

func TestHandshakeIsFoundInNoise(t *testing.T) {
	p, read := start(t, "echo hello; echo '|||'; echo '1|1|unix|/s|grpc|'; echo bye; echo '1|1|unix|/t|grpc|'")
	if got := read(); got != "1|1|unix|/s|grpc|\n" {
		t.Errorf("passed on %q", got)
	}
	<-p.Done()
	if seen, _ := p.Handshake(); !seen {
		t.Error("the handshake was not noticed")
	}
	want := []string{"hello", "|||", "bye", "1|1|unix|/t|grpc|"}
	if diff := cmp.Diff(want, p.out.Tail()); diff != "" {
		t.Error(diff)
	}
	if p.Status() != "exit status 0" {
		t.Errorf("status %q", p.Status())
	}
}

func TestPluginIsNeverBlockedByItsOutput(t *testing.T) {
	p, read := start(t, "echo '1|1|unix|/s|grpc|'; head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; echo end")
	read()
	<-p.Done()
	if tail := p.out.Tail(); !slices.Contains(tail, "end") && !strings.HasSuffix(tail[len(tail)-1], "\x00") {
		t.Errorf("%d lines", len(tail))
	}
}

func TestEndOfLeashReachesThePlugin(t *testing.T) {
	p, read := start(t, "cat; echo leash gone >&2")
	go read()
	p.dropLeash()
	<-p.Done()
	if diff := cmp.Diff([]string{"leash gone"}, p.out.Tail()); diff != "" {
		t.Error(diff)
	}
}

// A process outside the group that holds the pipes does not keep the end from being noticed.
func TestEndIsNoticedWhilePipesAreHeld(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	p, read := start(t, fmt.Sprintf("setsid sh -c 'echo $$ > %s; exec sleep 1000' & while [ ! -s %s ]; do :; done; exit 4", pidFile, pidFile))
	go read()
	<-p.Exited()
	<-p.Done()
	if p.Status() != "exit status 4" {
		t.Errorf("status %q", p.Status())
	}
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err != nil {
		t.Fatal(err)
	}
	if proc, err := os.FindProcess(pid); err == nil {
		_ = proc.Kill()
	}
}

func TestKillBeforeStartPreventsIt(t *testing.T) {
	p := New(Command{Path: "/bin/sh"}, t.TempDir(), NewOutput(nil))
	if err := p.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "before it was started") {
		t.Errorf("got %v", err)
	}
	<-p.Done()
}

func TestStartErrorsNameTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(file, []byte("not a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Command{{Path: file}, {Path: "relative"}, {Path: "/no/such/file"}, {Path: "/etc/passwd"}} {
		err := New(c, t.TempDir(), NewOutput(nil)).Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.Path) {
			t.Errorf("%s: got %v", c.Path, err)
		}
	}
}

// What is executed is what was hashed, although another file lies at the path by then.
func TestPinHoldsForTheOpenFile(t *testing.T) {
	data, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sh")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	pin, err := ParsePin(pinScheme + digestOf(data))
	if err != nil {
		t.Fatal(err)
	}
	command := Command{Path: path, Pin: pin, Args: []string{"-c", "echo original >&2"}}
	exe, err := command.open()
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho forged >&2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := command.Check(); !errors.Is(err, ErrPin) {
		t.Errorf("the other file: got %v", err)
	}
	var out bytes.Buffer
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	child, err := New(command, "", nil).exec(exe, []*os.File{r, w, w})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, _ = out.ReadFrom(r)
	r.Close()
	if _, err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if out.String() != "original\n" {
		t.Errorf("executed %q", out.String())
	}
}

func TestAddressesMustLieInTheDirectory(t *testing.T) {
	p := New(Command{}, "/run/p/1", nil)
	if _, _, err := p.PluginToHost("unix", "/run/p/1/s"); err != nil {
		t.Error(err)
	}
	for _, addr := range [][2]string{{"tcp", "127.0.0.1:1"}, {"unix", "/run/p/1/../2/s"}, {"unix", "/run/p/1"}, {"unix", "s"}, {"unix", "/run/p/1/x/s"}} {
		if _, _, err := p.PluginToHost(addr[0], addr[1]); err == nil {
			t.Errorf("%v was accepted", addr)
		}
	}
}

// FuzzOutput: whatever is written in whatever pieces, lines are bounded and have no newline, and none is lost.
func FuzzOutput(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"), 2)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		var lines int
		out := NewOutput(func(line []byte) {
			lines++
			if len(line) == 0 || len(line) > maxLine || bytes.ContainsRune(line, '\n') {
				t.Errorf("line %q", line)
			}
		})
		out.Copy(stepReader{bytes.NewReader(data), max(1, step%100)})
		want := 0
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			if len(line) > 0 {
				want++
			}
		}
		if lines != want {
			t.Errorf("%d lines, want %d", lines, want)
		}
	})
}

type stepReader struct {
	r    io.Reader
	step int
}

func (s stepReader) Read(p []byte) (int, error) { return s.r.Read(p[:min(s.step, len(p))]) }
