package hosttest_test

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// report says of a history that failed what happened in it, what the daemons logged last, and how to run it again.
func (s *simulation) report(test string) {
	s.t.Helper()
	if !s.t.Failed() {
		return
	}
	s.contrast()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Logf("what the daemons logged last:\n%s", s.log)
	s.t.Logf("what happened:\n%s", strings.Join(s.story, "\n"))
	s.t.Logf("replay with: %s", replay(test, s.plan.Seed))
}

// contrast tells, of each row of which not all hosts know the same, what each of them knows.
func (s *simulation) contrast() {
	for _, key := range slices.Sorted(maps.Keys(s.acknowledged)) {
		all := map[string]bool{}
		var lines []string
		for _, h := range s.c.Hosts() {
			if !h.Running() {
				continue
			}
			hist, err := h.API().History(s.t.Context(), &nodev1.HistoryRequest{Database: hosttest.Database, Collection: hosttest.Collection, Key: key})
			text := fmt.Sprint(err)
			if err == nil {
				text = fmt.Sprint(hist.GetHead(), hist.GetHeads())
			}
			all[text] = true
			lines = append(lines, fmt.Sprintf("%s knows of %s: %s", h.Name(), key, text))
			for _, v := range hist.GetVersions() {
				lines = append(lines, fmt.Sprintf("    %s of %s deleted %t %q from %v", v.GetVersion(), v.GetTime().AsTime(), v.GetDeleted(), v.GetValue(), v.GetParents()))
			}
		}
		if len(all) > 1 {
			s.t.Log(strings.Join(lines, "\n"))
		}
	}
}

// tail keeps the last lines that are written to it. It is written to by all daemons.
type tail struct {
	// mu guards the field below it.
	mu    sync.Mutex
	lines []string
	// alarm was raised: members that should have held the same did not.
	alarm bool
}

func (t *tail) alarmed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.alarm
}

const tailLines = 300

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) >= 2*tailLines {
		t.lines = slices.Clone(t.lines[len(t.lines)-tailLines:])
	}
	t.lines = append(t.lines, string(p))
	t.alarm = t.alarm || bytes.Contains(p, []byte("replicas differ although"))
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
