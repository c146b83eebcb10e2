package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sbe")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "syncbase")
	build := exec.Command("go", "build", "-o", binary, "github.com/syncbase/syncbase/cmd/syncbase")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	for _, p := range processesOf(binary) {
		fmt.Fprintf(os.Stderr, "process %d is left over: %s\n", p.pid, p.command)
		_ = p.kill()
		code = max(code, 1)
	}
	return code
}

// repository is the root of the repository, below which tests find what is not theirs.
func repository(t testing.TB, elements ...string) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root}, elements...)...)
}
