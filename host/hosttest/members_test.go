package hosttest_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// How large TestManyMembers is:
//
//	go test -v -count 1 -run '^TestManyMembers$' ./host/hosttest -args -members 50 -changes 20
var (
	manyMembers = flag.Int("members", 12, "members of TestManyMembers")
	manyChanges = flag.Int("changes", 4, "changes that TestManyMembers makes")
)

// farReach is how long a change may take to all members of TestManyMembers. In the star it goes four ways: there is something, send it,
// here it is, and on to the others; in the random graph it has some hops.
const farReach = 50 * time.Millisecond

// reachLimit is when a change is given up.
const reachLimit = time.Hour

// spread is what a change cost, in virtual time and in bytes.
type spread struct {
	// reached are the times until the last member had each change, in order.
	reached []time.Duration
	// bytes for each change and member, and how many the members exchange in a second of rest.
	bytes, resting float64
	// processor is real time of all members together, for each change and member.
	processor time.Duration
}

func (s spread) String() string {
	return fmt.Sprintf("all reached after %s (median), %s (most); %.0f bytes and %s of processor time for each change and member; %.0f bytes a second at rest",
		s.reached[len(s.reached)/2].Round(100*time.Microsecond), s.reached[len(s.reached)-1].Round(100*time.Microsecond),
		s.bytes, s.processor.Round(time.Microsecond), s.resting)
}

// A change reaches every member of a syncgroup in a few ways of the network, whatever the topology: also where nobody pulls from the
// member that made it, because it can be reached by one alone, which can pull from few. The network takes up to 5 ms each way, the
// disks nothing.
func TestManyMembers(t *testing.T) {
	names := make([]string, *manyMembers)
	for i := range names {
		names[i] = fmt.Sprintf("m%03d", i)
	}
	const interval = 30 * time.Second
	for _, topology := range []struct {
		name  string
		knows func(host, other string) bool
	}{
		{"star", func(_, other string) bool { return other == names[0] }},
		{"random", randomGraph(names)},
	} {
		t.Run(topology.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := hosttest.New(t, hosttest.Options{
					Seed: 1, Hosts: names, Interval: interval, Knows: topology.knows,
					Apart: func(host, other string) bool { return !topology.knows(host, other) && !topology.knows(other, host) },
				})
				c.Share()
				c.Settle(10 * time.Minute)
				got := change(t, c, *manyChanges)
				t.Logf("%d members, %s: %s", len(names), topology.name, got)
				if most := got.reached[len(got.reached)-1]; most > farReach {
					t.Errorf("a change took %s to reach everybody, want %s at most", most, farReach)
				}
				if took := together(t, c); took > 2*time.Second {
					t.Errorf("changes that all members made at the same time took %s to reach everybody", took)
				}
			})
		})
	}
}

// randomGraph has each host know one before it, so that all are connected, and two others.
func randomGraph(names []string) func(host, other string) bool {
	edges := map[[2]string]bool{}
	state := uint64(1)
	below := func(n int) int {
		state = state*6364136223846793005 + 1442695040888963407
		return int(state>>33) % n
	}
	for i := 1; i < len(names); i++ {
		edges[[2]string{names[i], names[below(i)]}] = true
		for range 2 {
			edges[[2]string{names[i], names[below(len(names))]}] = true
		}
	}
	return func(host, other string) bool { return edges[[2]string{host, other}] }
}

// change makes changes on members in turn, each when everybody has the one before.
func change(t *testing.T, c *hosttest.Cluster, changes int) (s spread) {
	t.Helper()
	hosts := c.Hosts()
	// seen has a time for each change and member; the watches end with ctx, and the test waits for them.
	seen := make(chan time.Time, len(hosts)*changes)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	for _, h := range hosts {
		stream, err := h.API().Watch(ctx, &nodev1.WatchRequest{Database: hosttest.Database, Prefix: "change/"})
		if err != nil {
			t.Fatal(err)
		}
		// The first message says that the watch is there.
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		watching.Go(func() {
			for {
				m, err := stream.Recv()
				if err != nil {
					return
				}
				for range m.GetChanges() {
					seen <- time.Now()
				}
			}
		})
	}
	time.Sleep(time.Minute)
	const rest = 2 * time.Minute
	before := c.Traffic()
	time.Sleep(rest)
	s.resting = float64(c.Traffic()-before) / rest.Seconds()

	before, used, began := c.Traffic(), processorTime(), time.Now()
	for i := range changes {
		at := hosts[(i*7+1)%len(hosts)]
		put := time.Now()
		at.Commit(hosttest.Put(fmt.Sprintf("change/%04d", i), `{"n": 1234567}`))
		var last time.Duration
		for n := range hosts {
			select {
			case at := <-seen:
				last = max(last, at.Sub(put))
			case <-time.After(reachLimit):
				t.Fatalf("%d of %d members have change %d of %s after %s", n, len(hosts), i, at.Name(), reachLimit)
			}
		}
		s.reached = append(s.reached, last)
		time.Sleep(time.Second)
	}
	slices.SortFunc(s.reached, cmp.Compare)
	deliveries := float64(changes * len(hosts))
	s.bytes = max(0, float64(c.Traffic()-before)-s.resting*time.Since(began).Seconds()) / deliveries
	s.processor = (processorTime() - used) / time.Duration(deliveries)
	return s
}

// together lets all hosts write at the same time and returns how long it takes until all have everything.
func together(t *testing.T, c *hosttest.Cluster) time.Duration {
	t.Helper()
	begun := time.Now()
	for _, h := range c.Hosts() {
		h.Commit(hosttest.Put("together/"+h.Name(), `1`))
	}
	for _, h := range c.Hosts() {
		for _, other := range c.Hosts() {
			for h.Rows()["together/"+other.Name()] == "" {
				if time.Since(begun) > reachLimit {
					t.Fatalf("what %s wrote has not reached %s", other.Name(), h.Name())
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
	return time.Since(begun)
}

// processorTime is what this process has used; it is no part of virtual time.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // never fails for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
