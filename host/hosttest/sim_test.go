package hosttest_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/hosttest"
)

// reference: sync-225 random histories with cuts, resets, crashes, restarts and late joins leave all hosts with the same
// rows, access lists, members and specification, lose no acknowledged write, invent none, and tear no batch.
func TestRandomHistoriesConverge(t *testing.T) {
	seeds, refused, repeated := histories(t, 1), atomic.Int32{}, atomic.Int32{}
	t.Cleanup(func() {
		if len(seeds) >= 100 && refused.Load() == 0 {
			t.Error("no quota made anybody refuse anything: that is not tested")
		}
		if len(seeds) >= 100 && repeated.Load() == 0 {
			t.Error("no pull was asked for again: that is not tested")
		}
	})
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSimulation(t, planOf(seed))
				defer s.report("TestRandomHistoriesConverge")
				s.run()
				if s.refused {
					refused.Add(1)
				}
				if s.pulledAgain() {
					repeated.Add(1)
				}
			})
		})
	}
}

// write is what a host was told to write, and what it answered.
type write struct {
	host, key string
	// value is empty for a delete.
	value string
	// version and time are known of acknowledged writes alone.
	version string
	time    time.Time
	// number counts the writes of the host.
	number int
}

// simulation is one random history.
type simulation struct {
	t    *testing.T
	plan plan
	// chance decides what is looked at in the end. How much is drawn from it depends on what there is to look at, so nothing that
	// befalls hosts may.
	chance *rand.Rand
	c      *hosttest.Cluster
	// joined are the hosts that are members.
	joined  []string
	waiting []string
	// sharing tells whether b has joined the collection inner, or tried to.
	sharing bool
	watches map[string]*hosttest.Watcher
	// taken are the steps that were taken.
	taken []step
	story []string
	// asked are the methods that were asked again.
	asked []string
	began time.Time

	// snapshots of disks, and how many writes the host had begun by then.
	snapshots map[string]snapshot
	// setBack are the hosts that were set back, and so may have named their writes anew.
	setBack map[string]bool

	// tight are the hosts that have a quota or still refuse something, lean those that ever had one; refused tells whether any of
	// them has refused something.
	tight, lean map[string]bool
	refused     bool

	truth *truth
	liar  *liar
	// log is what the daemons logged last.
	log *tail
	// twin runs on a copy of a host's data; nil if none does.
	twin *hosttest.Host

	// mu guards the fields below it: writers run beside each other.
	mu sync.Mutex
	// begun counts the writes of each host.
	begun map[string]int
	// acknowledged and doubtful writes by key. What is doubtful may have happened or not.
	acknowledged, doubtful map[string][]write
}

func newSimulation(t *testing.T, p plan) *simulation {
	s := &simulation{
		t: t, plan: p, chance: rand.New(rand.NewPCG(p.Seed, 5)), began: time.Now(), watches: map[string]*hosttest.Watcher{},
		snapshots: map[string]snapshot{}, setBack: map[string]bool{}, tight: map[string]bool{}, lean: map[string]bool{}, begun: map[string]int{},
		acknowledged: map[string][]write{}, doubtful: map[string][]write{},
		truth: newTruth("a", "b"), liar: newLiar(p.Seed), log: &tail{},
	}
	s.c = hosttest.New(t, hosttest.Options{
		Seed: p.Seed, Hosts: p.Hosts, MaxSkew: p.MaxSkew, MaxDelay: p.MaxDelay, Keep: p.Keep, Tap: s.tap,
		Older: func(host string) bool { return slices.Contains(p.Older, host) },
		Log:   hclog.Debug, LogTo: s.log,
		Knows: func(host, other string) bool {
			switch p.Topology {
			case 1: // a line
				return host[0] == other[0]+1
			case 2: // a star
				return other == "a"
			}
			return true
		},
	})
	s.tell("hosts %v, of which %v are older, topology %d, clocks %s and delays %s apart, history kept %s, %s",
		p.Hosts, p.Older, p.Topology, p.MaxSkew, p.MaxDelay, p.Keep, p.Flavour)
	return s
}

// run plays the history and checks what has come of it.
func (s *simulation) run() {
	s.t.Helper()
	s.play()
	s.finish()
}

// play takes the steps.
func (s *simulation) play() {
	s.t.Helper()
	s.c.Host("a").Create()
	s.createInner()
	s.member("a")
	s.waiting = s.plan.Hosts[1:]
	for range s.plan.Joins {
		s.join()
	}
	for _, p := range s.plan.Steps {
		s.taken = append(s.taken, p)
		s.step(p)
	}
}

func (s *simulation) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.story = append(s.story, fmt.Sprintf("%9s ", time.Since(s.began).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

func (s *simulation) member(name string) {
	s.joined = append(s.joined, name)
	s.watches[name] = s.c.Host(name).Watch()
	if s.plan.Flavour == withRules {
		s.setRules(s.c.Host(name))
	}
}

// join lets the next host join at the one before it, which every topology connects it with or lets it reach.
func (s *simulation) join() bool {
	if len(s.waiting) == 0 {
		return true
	}
	name := s.waiting[0]
	at := s.joined[len(s.joined)-1]
	if !s.c.Host(name).Running() || !s.c.Host(at).Running() {
		return false
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	err := s.c.Host(name).TryJoin(ctx, hosttest.Syncgroup, s.c.Host(at))
	s.tell("%s joins at %s: %v", name, at, err)
	if err != nil {
		return false
	}
	s.waiting = s.waiting[1:]
	s.member(name)
	return true
}

// whole checks that no private batch can be seen in parts.
func (s *simulation) whole(name string) {
	s.t.Helper()
	h := s.c.Host(name)
	if !h.Running() || h.State().Permissions == "" {
		return
	}
	rows := h.Rows()
	for _, of := range s.joined {
		keys := private(of)
		for _, key := range keys[1:] {
			if rows[key] != rows[keys[0]] {
				s.t.Fatalf("%s shows a part of a batch of %s: %v", name, of, rows)
			}
		}
	}
}

// finish ends all faults, waits until the hosts agree, and checks what they agree on.
func (s *simulation) finish() {
	s.t.Helper()
	s.tell("the end of all faults")
	s.c.Heal()
	s.mend()
	for _, h := range s.c.Hosts() {
		if !h.Running() {
			h.Start()
		}
	}
	for _, name := range s.joined {
		s.pauseSync(name, false)
		s.quota(name, step{})
	}
	for healed := time.Now(); len(s.waiting) > 0; time.Sleep(time.Second) {
		if !s.join() && time.Since(healed) > s.bound() {
			s.t.Fatalf("%s cannot join", s.waiting[0])
		}
	}
	s.shareInner()
	s.settle()
	s.conclude()
	rows := s.c.Host("a").Rows()
	synctest.Wait()
	for name, w := range s.watches {
		if s.mended() && status.Code(w.Err()) == codes.FailedPrecondition {
			continue // it has become another writer, and its markers are void
		}
		shown := w.State()
		maps.DeleteFunc(shown, func(key, _ string) bool { return strings.HasPrefix(key, inner) })
		if diff := cmp.Diff(rows, shown); diff != "" {
			s.t.Errorf("what a watcher of %s ended with, its last stream having broken with %v (-rows +watcher):\n%s", name, w.Err(), diff)
		}
		if !s.mended() {
			s.checkBatches(name, w)
		}
		s.whole(name)
	}
	for key := range maps.Keys(s.acknowledged) {
		if !left(key) {
			s.checkKey(key, rows[key])
		}
	}
	for key, value := range rows {
		if !left(key) && !slices.ContainsFunc(append(s.acknowledged[key], s.doubtful[key]...), func(w write) bool { return w.value == value }) {
			s.t.Errorf("row %s has the value %s, which nobody wrote", key, value)
		}
	}
}

// checkBatches checks that a watcher was shown private batches whole.
func (s *simulation) checkBatches(name string, w *hosttest.Watcher) {
	s.t.Helper()
	for _, b := range w.Batches() {
		if b.Name == "" {
			continue
		}
		shown := map[string]int{}
		for _, ch := range b.Changes {
			if of, _, ok := strings.Cut(ch.GetRow().GetKey(), "/"); ok && !left(ch.GetRow().GetKey()) {
				shown[of]++
			}
		}
		for of, n := range shown {
			if n != len(private(of)) {
				s.t.Errorf("a watcher of %s was shown %d of %d changes of the batch %s of %s", name, n, len(private(of)), b.Name, of)
			}
		}
	}
}

// checkKey holds the row against the rule that the last writer wins: no acknowledged write is later than what is there.
func (s *simulation) checkKey(key, value string) {
	s.t.Helper()
	if s.mended() && s.current("a", key) == "" && value == "" {
		return // it was withheld while it was there
	}
	hist, found := s.history("a", key)
	if !found {
		if value != "" || !s.forgotten(key, s.latest(key)) {
			s.t.Errorf("row %s is %q, and nothing is known of it", key, value)
		}
		return
	}
	at := timeIn(hist, hist.GetHead())
	known := false
	for _, w := range slices.Concat(s.acknowledged[key], s.doubtful[key]) {
		known = known || w.version == hist.GetHead() || s.renames(w, hist.GetHead()) && w.value == value
		if s.mended() && w.value == "" && value == "" {
			continue // a delete that was withheld where there was nothing to delete
		}
		if w.time.After(at) {
			s.t.Errorf("row %s is %q of %s, written at %s; %s acknowledged %q as %s at %s, which is later and lost",
				key, value, hist.GetHead(), at, w.host, w.value, w.version, w.time)
		}
	}
	if !known {
		s.t.Errorf("the version %s of row %s is nobody's", hist.GetHead(), key)
	}
}

// renames tells whether the write may stand there as the given version without having been acknowledged as that: it was never
// acknowledged, its host was set back, somebody lied; or its host wrote it anew, because somebody who was set back had forgotten that
// host and then, without its word, a delete.
func (s *simulation) renames(w write, version string) bool {
	if w.version == "" || s.setBack[w.host] || s.plan.Flavour == withLiar {
		return true
	}
	device, _, _ := strings.Cut(w.version, ".")
	return len(s.setBack) > 0 && strings.HasPrefix(version, device+".")
}
