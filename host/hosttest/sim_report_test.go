package hosttest_test

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
)

// report says of a history that failed what happened in it, what the daemons logged last, and how to run it again.
func (s *simulation) report(test string) {
	s.t.Helper()
	if !s.t.Failed() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Logf("what the daemons logged last:\n%s", s.log)
	s.t.Logf("what happened:\n%s", strings.Join(s.story, "\n"))
	s.t.Logf("replay with: %s", replay(test, s.plan.Seed))
}

// tail keeps the last lines that are written to it. It is written to by all daemons.
type tail struct {
	// mu guards the field below it.
	mu    sync.Mutex
	lines []string
}

const tailLines = 300

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) >= 2*tailLines {
		t.lines = slices.Clone(t.lines[len(t.lines)-tailLines:])
	}
	t.lines = append(t.lines, string(p))
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines[max(0, len(t.lines)-tailLines):], "")
}

// replay is the command that runs a history again the way it ran. The order of goroutines is not the seed's, so it may take
// several runs to see a rare failure again.
func replay(test string, seed uint64) string {
	words := []string{fmt.Sprint("GOMAXPROCS=", runtime.GOMAXPROCS(0)), "go test"}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		words = append(words, "-race")
	}
	return strings.Join(append(words, "-count=20 -failfast -run", "'^"+test+"$'", "./host/hosttest", fmt.Sprint("-sim.seed=", seed)), " ")
}
