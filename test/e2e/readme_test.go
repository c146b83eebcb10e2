package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// walkthroughMark stands in a page before each block of commands that belongs to its walk.
const walkthroughMark = "<!-- walkthrough -->"

// walkthrough returns the commands of a page, one block after the other.
func walkthrough(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(repository(t, page))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	parts := strings.Split(string(text), walkthroughMark)
	if len(parts) < 3 {
		t.Fatalf("%s has %d blocks after %s", page, len(parts)-1, walkthroughMark)
	}
	for _, part := range parts[1:] {
		block, isFenced := strings.CutPrefix(strings.TrimSpace(part), "```sh\n")
		block, _, isClosed := strings.Cut(block, "\n```")
		if !isFenced || !isClosed {
			t.Fatalf("no block of ```sh follows %s: %.100q", walkthroughMark, part)
		}
		script.WriteString(block + "\n")
	}
	return script.String()
}

// TestReadme walks with two daemons.
func TestReadme(t *testing.T) {
	t.Parallel()
	// What the phone got from the laptop, and the other way round.
	walk(t, "README.md", "\n{\"done\": false}\n", `{"done": false, "by": "phone"}`, `{"done": true, "by": "laptop"}`)
}

// TestHTTPPage walks with curl.
func TestHTTPPage(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatalf("the page is a walk with curl: %v", err)
	}
	walk(t, "docs/http.md", "\n{\"done\": false}", `"authority":true`, `{"deleted":"1"}`, `{"versions":["","`)
}

// walk runs the commands of a page in an empty directory, as a reader does. A command that fails ends it. They are to show
// what is wanted.
func walk(t *testing.T, page string, wanted ...string) {
	t.Helper()
	script := walkthrough(t, page)
	n := newNetwork(t)
	out, err := os.Create(n.path("out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	reader := n.path("reader")
	if err := os.Mkdir(reader, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eux")
	if bash, err := exec.LookPath("bash"); err == nil {
		cmd = exec.CommandContext(t.Context(), bash, "-eux", "-o", "pipefail")
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = strings.NewReader(script), out, out, reader
	cmd.Env = append(n.environment(), "PATH="+filepath.Dir(binary)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endGroup(t, cmd.Process.Pid) })
	hung := time.AfterFunc(time.Minute, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) })
	defer hung.Stop()
	failed := cmd.Wait()

	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if failed != nil {
		t.Errorf("the walk failed: %v", failed)
	}
	for _, want := range wanted {
		if !strings.Contains(string(text), want) {
			t.Errorf("the walk does not show %q", want)
		}
	}
	if t.Failed() {
		t.Logf("the walk:\n%s", text)
		logs, _ := filepath.Glob(filepath.Join(reader, "*.log")) // the pattern is good
		for _, log := range logs {
			text, err := os.ReadFile(log)
			t.Logf("%s (%v):\n%s", log, err, text)
		}
	}
}

// endGroup ends what a script has left behind: daemons, whose plugins end with them.
func endGroup(t *testing.T, group int) {
	if syscall.Kill(-group, syscall.SIGTERM) != nil {
		return // nobody is left
	}
	until(t, "what the script has started ends", patience, func() (bool, string) {
		return syscall.Kill(-group, 0) != nil, "some process is alive"
	})
}
