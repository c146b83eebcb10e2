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

// walkthroughMark stands in the README before each block of commands that belongs to the walk with two daemons.
const walkthroughMark = "<!-- walkthrough -->"

// walkthrough returns the commands of the README, one block after the other.
func walkthrough(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile(repository(t, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	parts := strings.Split(string(readme), walkthroughMark)
	if len(parts) < 3 {
		t.Fatalf("the README has %d blocks after %s", len(parts)-1, walkthroughMark)
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

// TestReadme runs the walk of the README in an empty directory, as a reader does. A command that fails ends it.
func TestReadme(t *testing.T) {
	t.Parallel()
	script := walkthrough(t)
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
	// What the phone got from the laptop, and the other way round.
	for _, want := range []string{"\n{\"done\": false}\n", `{"done": false, "by": "phone"}`, `{"done": true, "by": "laptop"}`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the walk does not show %q", want)
		}
	}
	if t.Failed() {
		t.Logf("the walk:\n%s", text)
		for _, log := range []string{"a.log", "b.log"} {
			text, err := os.ReadFile(filepath.Join(reader, log))
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
