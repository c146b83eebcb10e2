package hosttest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	"github.com/syncbase/syncbase/host/internal/delta"
)

// warmUp is how many changes of a writer are enough to find out which way they come first.
const warmUp = 20

// tally counts the commits that hosts send each other.
type tally struct {
	// mu guards the field below it.
	mu sync.Mutex
	of map[[2]string]int
}

func (n *tally) tap(from, to string, _ *delta.Open) hosttest.Answer {
	return func(_ context.Context, m delta.Message, send func(delta.Message) error) error {
		n.mu.Lock()
		n.of[[2]string{from, to}] += len(m.Commits)
		n.mu.Unlock()
		return send(m)
	}
}

// take returns the counts by sender and receiver, and all together, and begins anew.
func (n *tally) take() (of map[[2]string]int, all int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	of, n.of = n.of, map[[2]string]int{}
	for _, k := range of {
		all += k
	}
	return of, all
}

// reached returns how long it takes until all hosts have what one of them writes.
func reached(t *testing.T, c *hosttest.Cluster, writer, key string) time.Duration {
	t.Helper()
	begun := time.Now()
	c.Host(writer).Commit(hosttest.Put(key, `1`))
	for _, h := range c.Hosts() {
		for h.Rows()[key] != `1` {
			if time.Since(begun) > time.Minute {
				t.Fatalf("%s of %s has not reached %s", key, writer, h.Name())
			}
			time.Sleep(time.Millisecond)
		}
	}
	return time.Since(begun)
}

// Where everybody is connected with everybody a change is sent to each member about once, and comes no later than when all
// of them sent it; whoever wrote, and also beside members that know nothing of this.
func TestChangesAreSentAboutOnce(t *testing.T) {
	const changes = 20
	writers := []string{"a", "d"}
	for name, test := range map[string]struct {
		older string
		most  float64
	}{
		"all of this version": {"", 1.3},
		"one is older":        {"c", 2.6}, // c sends and is sent everything by everybody
		"all are older":       {"abcde", 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &tally{of: map[[2]string]int{}}
				c := hosttest.New(t, hosttest.Options{
					Seed: 1, Hosts: []string{"a", "b", "c", "d", "e"}, Tap: n.tap,
					Older: func(h string) bool { return len(test.older) > 0 && (test.older == h || len(test.older) > 1) },
				})
				c.Share()
				c.Settle(time.Minute)
				first := map[string]time.Duration{}
				for _, w := range writers {
					first[w] = reached(t, c, w, w)
					for i := range warmUp {
						reached(t, c, w, fmt.Sprint(w, i))
						time.Sleep(time.Second)
					}
				}
				n.take()
				for i := range changes {
					w := writers[i%len(writers)]
					if took := reached(t, c, w, fmt.Sprint("counted ", i)); took > first[w]+2*time.Millisecond {
						t.Errorf("change %d of %s took %s, the first one %s", i, w, took, first[w])
					}
					time.Sleep(time.Second)
				}
				_, all := n.take()
				each := float64(all) / changes / 4
				t.Logf("each change was sent to each member %.2f times; it took %v", each, first)
				if each < 1 || each > test.most {
					t.Errorf("each change was sent to each member %.2f times, want 1 to %.1f", each, test.most)
				}
			})
		})
	}
}

// When the way is cut on which changes came first, they come from others within half a second, and then at once.
func TestChangesFindAnotherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &tally{of: map[[2]string]int{}}
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "c"}, Tap: n.tap})
		c.Share()
		c.Settle(time.Minute)
		for i := range warmUp {
			reached(t, c, "a", fmt.Sprint(i))
			time.Sleep(time.Second)
		}
		n.take()
		reached(t, c, "a", "last")
		time.Sleep(time.Second)
		of, all := n.take()
		if all != 2 || of[[2]string{"a", "b"}]+of[[2]string{"c", "b"}] != 1 {
			t.Fatalf("before the cut a change was sent as often as %v", of)
		}
		used, other := "a", "c"
		if of[[2]string{"c", "b"}] == 1 {
			used, other = "c", "a"
		}
		t.Logf("what a writes comes to b from %s, not from %s", used, other)
		c.Cut(used, "b")
		if took := reached(t, c, "a", "first"); took > 500*time.Millisecond {
			t.Errorf("after the cut a change took %s", took)
		}
		if took := reached(t, c, "a", "second"); took > 50*time.Millisecond {
			t.Errorf("the second change after the cut took %s", took)
		}
		c.Heal()
		c.Settle(time.Minute)
	})
}
