package hosttest_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// reference: sync-225 random histories with cuts, resets, crashes, restarts and late joins leave all hosts with the same
// rows, access lists, members and specification, lose no acknowledged write, invent none, and tear no batch.
func TestRandomHistoriesConverge(t *testing.T) {
	for _, seed := range histories(t, 1) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSimulation(t, seed)
				defer func() {
					if t.Failed() {
						t.Logf("what happened:\n%s\nreplay with: go test ./host/hosttest -run %s -sim.seed=%d",
							strings.Join(s.story, "\n"), "TestRandomHistoriesConverge", seed)
					}
				}()
				for range 40 + s.random.IntN(60) {
					s.step()
				}
				s.finish()
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
	t      *testing.T
	seed   uint64
	random *rand.Rand
	c      *hosttest.Cluster
	// joined are the hosts that are members.
	joined  []string
	waiting []string
	watches map[string]*hosttest.Watcher
	story   []string
	began   time.Time

	// snapshots of disks, and how many writes the host had begun by then.
	snapshots map[string]snapshot
	// setBack are the hosts that were set back, and so may have named their writes anew.
	setBack map[string]bool

	// flavour is what is special about the history.
	flavour flavour
	truth   *truth
	liar    *liar
	// twin runs on a copy of a host's data; nil if none does.
	twin *hosttest.Host

	// mu guards the fields below it: writers run beside each other.
	mu sync.Mutex
	// next makes every value unlike all others.
	next int
	// begun counts the writes of each host.
	begun map[string]int
	// acknowledged and doubtful writes by key. What is doubtful may have happened or not.
	acknowledged, doubtful map[string][]write
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 2)), began: time.Now(), watches: map[string]*hosttest.Watcher{},
		snapshots: map[string]snapshot{}, setBack: map[string]bool{}, begun: map[string]int{},
		acknowledged: map[string][]write{}, doubtful: map[string][]write{},
		truth: newTruth("a", "b"), liar: newLiar(seed),
	}
	s.flavour = flavourOf(seed, s.random)
	names := []string{"a", "b", "c", "d", "e"}[:3+s.random.IntN(3)]
	topology := s.random.IntN(3)
	s.c = hosttest.New(t, hosttest.Options{
		Tap: s.tap, Older: s.olderOf(names), Seed: seed, Hosts: names, MaxSkew: []time.Duration{0, time.Second, 2 * time.Minute}[s.random.IntN(3)],
		MaxDelay: []time.Duration{time.Millisecond, 20 * time.Millisecond, 300 * time.Millisecond}[s.random.IntN(3)],
		Knows: func(host, other string) bool {
			switch topology {
			case 1: // a line
				return host[0] == other[0]+1
			case 2: // a star
				return other == "a"
			}
			return true
		},
	})
	s.tell("hosts %v, topology %d, %s", names, topology, s.flavour)
	s.c.Host("a").Create()
	s.createInner()
	s.member("a")
	s.waiting = names[1:]
	for range s.random.IntN(len(names)) {
		s.join()
	}
	return s
}

func (s *simulation) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.story = append(s.story, fmt.Sprintf("%9s ", time.Since(s.began).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

func (s *simulation) member(name string) {
	s.joined = append(s.joined, name)
	s.watches[name] = s.c.Host(name).Watch()
	if s.flavour == withRules {
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

// one returns a random name.
func (s *simulation) one(of []string) string { return of[s.random.IntN(len(of))] }

func (s *simulation) two() (string, string) {
	hosts := s.c.Hosts()
	i := s.random.IntN(len(hosts))
	j := (i + 1 + s.random.IntN(len(hosts)-1)) % len(hosts)
	return hosts[i].Name(), hosts[j].Name()
}

// step does something, and lets some time pass.
func (s *simulation) step() {
	switch n := s.random.IntN(100); {
	case n < 53:
		s.write(s.one(s.joined))
	case n < 57:
		s.vary()
	case n < 60:
		s.administer()
	case n < 65:
		s.join()
	case n < 69:
		from, to := s.two()
		s.tell("cut %s to %s", from, to)
		s.c.Cut(from, to)
	case n < 74:
		s.partition()
	case n < 80:
		s.tell("heal")
		s.c.Heal()
	case n < 83:
		from, to := s.two()
		s.tell("reset %s and %s", from, to)
		s.c.Reset(from, to)
	case n < 87:
		s.crash()
	case n < 93:
		s.disturb()
	case n < 95:
		host, _ := s.two()
		s.tell("stop %s", host)
		s.c.Host(host).Stop()
		s.truth.restart(host) // not before: a pull that begins while it stops is of the run that ends
	default:
		for _, h := range s.c.Hosts() {
			if !h.Running() {
				s.tell("start %s", h.Name())
				h.Start()
			}
		}
	}
	if name := s.one(s.joined); !s.flavour.repairs() {
		s.whole(name)
	}
	s.truthful(s.one(s.joined))
	time.Sleep(s.pause())
}

// pause is short as a rule, and sometimes longer than it takes to notice a dead connection.
func (s *simulation) pause() time.Duration {
	longest := 200 * time.Millisecond
	if s.random.IntN(12) == 0 {
		longest = time.Minute
	}
	return time.Duration(s.random.Int64N(int64(longest)))
}

func (s *simulation) partition() {
	var sides [2][]string
	for _, h := range s.c.Hosts() {
		side := s.random.IntN(2)
		sides[side] = append(sides[side], h.Name())
	}
	s.tell("part %v from %v", sides[0], sides[1])
	s.c.Partition(sides[0], sides[1])
}

// crash cuts the power of a host that is writing.
func (s *simulation) crash() {
	name, _ := s.two()
	h := s.c.Host(name)
	if !h.Running() {
		return
	}
	var writers sync.WaitGroup
	if slices.Contains(s.joined, name) {
		for range s.random.IntN(4) {
			ops, writes := s.compose(name)
			api := h.API()
			if api == nil || len(ops) == 0 {
				continue
			}
			writers.Go(func() { s.commit(h, api, ops, writes) })
		}
	}
	s.tell("crash %s", name)
	s.truth.restart(name)
	s.truth.release(name) // progress without commits is not on the disk until the next step, and is learned again
	h.Crash()
	writers.Wait()
	if s.random.IntN(2) == 0 {
		s.tell("start %s", name)
		h.Start()
	}
}

// private are the keys that a host alone writes, always all of them together.
func private(host string) []string { return []string{host + "/1", host + "/2", host + "/3"} }

// compose returns a batch, and what it means. A host that has not got the collection yet cannot write.
func (s *simulation) compose(name string) (ops []*nodev1.Op, writes []write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add := func(key, value string) {
		s.begun[name]++
		writes = append(writes, write{host: name, key: key, value: value, number: s.begun[name]})
		if value == "" {
			ops = append(ops, hosttest.Delete(key))
		} else {
			ops = append(ops, hosttest.Put(key, value))
		}
	}
	s.next++
	value := strconv.Itoa(s.next)
	switch n := s.random.IntN(10); {
	case n < 3:
		for _, key := range private(name) {
			add(key, value)
		}
		return ops, writes
	case n < 5:
		value = ""
	}
	prefix := ""
	if s.flavour == withRules {
		prefix = []string{"", "open/", "app/"}[s.random.IntN(3)]
	}
	for _, i := range s.random.Perm(6)[:1+s.random.IntN(3)] {
		add(fmt.Sprint(prefix, "k", i), value)
	}
	return ops, writes
}

func (s *simulation) write(name string) {
	h := s.c.Host(name)
	if !h.Running() {
		return
	}
	ops, writes := s.compose(name)
	s.commit(h, h.API(), ops, writes)
}

// commit sends a batch and takes note of the answer. Only a host that was crashed while it wrote may give none.
func (s *simulation) commit(h *hosttest.Host, api nodev1.NodeServiceClient, ops []*nodev1.Op, writes []write) {
	resp, err := api.Commit(s.t.Context(), &nodev1.CommitRequest{Database: hosttest.Database, Ops: ops})
	for i, w := range writes {
		if err == nil {
			w.version = resp.GetVersions()[i]
		}
		unsure := err != nil || h == s.twin // what a copy alone has is lost with it
		if err == nil && w.version != "" {
			if hist, err := api.History(s.t.Context(), &nodev1.HistoryRequest{
				Database: hosttest.Database, Collection: hosttest.Collection, Key: w.key,
			}); err == nil {
				w.time = timeIn(hist, w.version)
			}
		}
		s.mu.Lock()
		if unsure {
			w.version, w.time = "", time.Time{}
			s.doubtful[w.key] = append(s.doubtful[w.key], w)
		} else if w.version != "" {
			s.acknowledged[w.key] = append(s.acknowledged[w.key], w)
		}
		s.mu.Unlock()
	}
	s.tell("%s writes %s=%s and %d more: %v", h.Name(), writes[0].key, writes[0].value, len(writes)-1, err)
}

// timeIn returns the time of a version, zero if it is not in the history.
func timeIn(h *nodev1.HistoryResponse, version string) time.Time {
	for _, v := range h.GetVersions() {
		if v.GetVersion() == version {
			return v.GetTime().AsTime()
		}
	}
	return time.Time{}
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
	}
	for healed := time.Now(); len(s.waiting) > 0; time.Sleep(time.Second) {
		if !s.join() && time.Since(healed) > s.bound() {
			s.t.Fatalf("%s cannot join", s.waiting[0])
		}
	}
	s.settle()
	s.conclude()
	rows := s.c.Host("a").Rows()
	synctest.Wait()
	for name, w := range s.watches {
		if s.flavour.repairs() && status.Code(w.Err()) == codes.FailedPrecondition {
			continue // it has become another writer, and its markers are void
		}
		shown := w.State()
		maps.DeleteFunc(shown, func(key, _ string) bool { return strings.HasPrefix(key, inner) })
		if diff := cmp.Diff(rows, shown); diff != "" {
			s.t.Errorf("what a watcher of %s ended with, its last stream having broken with %v (-rows +watcher):\n%s", name, w.Err(), diff)
		}
		if !s.flavour.repairs() {
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
	if s.flavour.repairs() && s.current("a", key) == "" && value == "" {
		return // it was withheld while it was there
	}
	hist := s.c.Host("a").History(key)
	at := timeIn(hist, hist.GetHead())
	known := false
	for _, w := range slices.Concat(s.acknowledged[key], s.doubtful[key]) {
		known = known || w.version == hist.GetHead() || (w.version == "" || s.setBack[w.host] || s.flavour == withLiar) && w.value == value
		if s.flavour.repairs() && w.value == "" && value == "" {
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
