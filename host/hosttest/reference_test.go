package hosttest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// shared runs a test with hosts that share a collection.
func shared(t *testing.T, opts hosttest.Options, test func(t *testing.T, c *hosttest.Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, opts)
		c.Share()
		c.Settle(time.Minute)
		test(t, c)
	})
}

// reference: sync-178 deleting a row that never was is nothing at all, and what is written after it arrives, also after a
// restart.
func TestDeleteOfNothingStopsNothing(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		if v := a.Commit(hosttest.Delete("never")); v[0] != "" {
			t.Errorf("deleting what never was made the version %s", v[0])
		}
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		a.Commit(hosttest.Delete("never"))
		a.Stop()
		a.Start()
		a.Commit(hosttest.Put("k", `2`))
		c.Settle(time.Minute)
		if got := b.Rows()["k"]; got != `2` {
			t.Errorf("b has %s", got)
		}
	})
}

// reference: sync-180 a new row that is written twice in one batch has the second value everywhere.
//
// reference: sync-181 a row that is written and deleted in one batch, in either order, ends as the last operation says.
func TestRowsTouchedTwiceInABatch(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a := c.Host("a")
		a.Commit(hosttest.Put("old", `0`))
		a.Commit(
			hosttest.Put("new", `1`), hosttest.Put("new", `2`),
			hosttest.Put("gone", `1`), hosttest.Delete("gone"),
			hosttest.Delete("old"), hosttest.Put("old", `1`),
		)
		c.Settle(time.Minute)
		for _, h := range c.Hosts() {
			if got := fmt.Sprint(h.Rows()); got != "map[new:2 old:1]" {
				t.Errorf("%s has %s", h.Name(), got)
			}
		}
	})
}

// reference: sync-187 without any resolver the last writer wins, and no conflict holds anything up.
//
// reference: sync-218 how a conflict was settled reaches the others without another write.
func TestConflictsSettleByThemselves(t *testing.T) {
	shared(t, hosttest.Options{Hosts: []string{"a", "b", "c"}}, func(t *testing.T, c *hosttest.Cluster) {
		c.Partition([]string{"a"}, []string{"b"})
		c.Partition([]string{"a"}, []string{"c"})
		c.Partition([]string{"b"}, []string{"c"})
		for _, h := range c.Hosts() {
			time.Sleep(time.Second)
			h.Commit(hosttest.Put("k", fmt.Sprintf("%q", h.Name())))
		}
		c.Heal()
		c.Settle(time.Minute)
		for _, h := range c.Hosts() {
			if got := h.Rows()["k"]; got != `"c"` {
				t.Errorf("%s has %s, want the value of c, which wrote last", h.Name(), got)
			}
			if n := len(h.History("k").GetVersions()); n != 3 {
				t.Errorf("%s shows %d versions, want all three", h.Name(), n)
			}
		}
	})
}

// reference: sync-193 two members let in two newcomers at the same time, out of each other's sight: both are members
// everywhere.
func TestTwoMembersAdmitAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Hosts: []string{"a", "b", "c", "d"}})
		a, b := c.Host("a"), c.Host("b")
		a.Create()
		b.Join(a)
		b.Wait()
		c.Partition([]string{"a", "c"}, []string{"b", "d"})
		c.Host("c").Join(a)
		c.Host("d").Join(b)
		c.Host("c").Wait()
		c.Host("d").Wait()
		wantMembers(t, "a b c", a)
		wantMembers(t, "a b d", b)
		c.Heal()
		c.Settle(5 * time.Minute)
		wantMembers(t, "a b c d", c.Hosts()...)
	})
}

// reference: sync-210 a pair with nothing to do sends keepalives and nothing else, and a change arrives at once.
func TestIdlePairIsQuiet(t *testing.T) {
	const delay = 2 * time.Millisecond
	shared(t, hosttest.Options{MaxDelay: delay}, func(t *testing.T, c *hosttest.Cluster) {
		time.Sleep(time.Minute)
		before := c.Carried("a", "b") + c.Carried("b", "a")
		time.Sleep(time.Hour)
		// Two links, each with a ping of the side that dialled every ten seconds and its answer, in TLS; and now and then the
		// question what the other one holds.
		const most = 2*360*2*40 + 60_000
		if sent := c.Carried("a", "b") + c.Carried("b", "a") - before; sent > most {
			t.Errorf("an idle pair sent %d bytes within an hour, want at most %d", sent, most)
		}
		w := c.Host("b").Watch()
		synctest.Wait()
		begun := time.Now()
		c.Host("a").Commit(hosttest.Put("k", `1`))
		time.Sleep(2*delay - time.Since(begun))
		synctest.Wait()
		if got := w.State()["k"]; got != `1` {
			t.Errorf("b has %q after %s", got, time.Since(begun))
		}
	})
}

// reference: sync-214 a member in a black hole, which swallows everything without an answer, delays nobody else.
func TestBlackHoleDelaysNobodyElse(t *testing.T) {
	shared(t, hosttest.Options{Hosts: []string{"a", "b", "c"}}, func(t *testing.T, c *hosttest.Cluster) {
		c.Partition([]string{"c"}, []string{"a", "b"})
		w := c.Host("b").Watch()
		for i := range 30 {
			value := fmt.Sprint(i)
			c.Host("a").Commit(hosttest.Put("k", value))
			time.Sleep(time.Second)
			if got := w.State()["k"]; got != value {
				t.Fatalf("b has %s a second after a wrote %s", got, value)
			}
		}
		c.Heal()
		c.Settle(time.Minute)
	})
}

// A way that is cut in one direction only is noticed too, and healed.
func TestOneWayCutHeals(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		c.Cut("a", "b")
		c.Host("a").Commit(hosttest.Put("a", `1`))
		c.Host("b").Commit(hosttest.Put("b", `1`))
		time.Sleep(2 * time.Minute)
		if c.Diff() == "" {
			t.Error("something came through the cut")
		}
		c.Heal()
		c.Settle(time.Minute)
	})
}

// reference: store-126 all members know all members, also those that they never met.
//
// reference: sync-161 members learn of later joiners through others, and all have the data.
//
// Changes reach a host through others where there is no direct way.
func TestChangesTravelAlongALine(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	shared(t, hosttest.Options{Hosts: names, Knows: func(host, other string) bool { return host[0] == other[0]+1 }},
		func(t *testing.T, c *hosttest.Cluster) {
			c.Host("a").Commit(hosttest.Put("from a", `1`))
			c.Host("d").Commit(hosttest.Put("from d", `1`))
			c.Settle(time.Minute)
			wantMembers(t, "a b c d", c.Hosts()...)
			for _, h := range c.Hosts() {
				if got := fmt.Sprint(h.Rows()); got != "map[from a:1 from d:1]" {
					t.Errorf("%s has %s", h.Name(), got)
				}
			}
		})
}

func TestUnknownSyncgroupIsNotFound(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := c.Host("b").TryJoin(ctx, "none", c.Host("a"))
		if err == nil || !strings.Contains(err.Error(), "no such syncgroup") {
			t.Errorf("join of what is not there: %v", err)
		}
	})
}

// A crash in the middle of a large delta costs what was not synced and no more.
func TestLargeDeltaSurvivesCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{})
		a, b := c.Host("a"), c.Host("b")
		a.Create()
		value := `"` + strings.Repeat("x", 20_000) + `"`
		for i := range 300 {
			a.Commit(hosttest.Put(fmt.Sprintf("k%03d", i), value))
		}
		b.Join(a)
		for _, wait := range []time.Duration{20 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond} {
			time.Sleep(wait)
			b.Crash()
			b.Start()
			time.Sleep(time.Second)
			a.Crash()
			a.Start()
		}
		c.Settle(5 * time.Minute)
		if n := len(b.Rows()); n != 300 {
			t.Errorf("b has %d rows, want 300", n)
		}
	})
}

// A cluster that cannot agree has to be told apart from one that does.
func TestDiffSeesADifference(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		c.Partition([]string{"a"}, []string{"b"})
		c.Host("a").Commit(hosttest.Put("k", `1`))
		if diff := c.Diff(); !strings.Contains(diff, `"k"`) {
			t.Errorf("difference: %q", diff)
		}
		c.Heal()
		c.Settle(time.Minute)
	})
}

// A newcomer among many members gets what they hold once between them, not once from each.
func TestNewcomerIsSentEverythingOnce(t *testing.T) {
	carried := func(names ...string) (bytes uint64) {
		knows := func(host, _ string) bool { return host != "new" }
		shared(t, hosttest.Options{Hosts: append(names, "new"), Knows: knows}, func(t *testing.T, c *hosttest.Cluster) {
			newcomer := c.Host("new")
			newcomer.Stop()
			for i := range 40 {
				var ops []*nodev1.Op
				for j := range 250 {
					ops = append(ops, hosttest.Put(fmt.Sprintf("%03d/%03d", i, j), `"`+strings.Repeat("x", 200)+`"`))
				}
				c.Host(names[0]).Commit(ops...)
			}
			time.Sleep(time.Minute) // until the others are level, which without the newcomer nobody can check
			received := func() (n uint64) {
				for _, name := range names {
					n += c.Carried(name, "new")
				}
				return n
			}
			before := received()
			newcomer.Start()
			c.Settle(time.Minute)
			bytes = received() - before
		})
		return bytes
	}
	one, four := carried("a"), carried("a", "b", "c", "d")
	t.Logf("%d bytes from one member, %d from four", one, four)
	if four > one*3/2 {
		t.Errorf("four members sent %d bytes, and one member %d", four, one)
	}
}

// In a large syncgroup a change is sent to each member by a few others and not by all, and still reaches everybody.
func TestChangeIsSentByFewMembers(t *testing.T) {
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("h%02d", i))
	}
	shared(t, hosttest.Options{Hosts: names}, func(t *testing.T, c *hosttest.Cluster) {
		carried := func(to string) (n uint64) {
			for _, from := range names {
				if from != to {
					n += c.Carried(from, to)
				}
			}
			return n
		}
		before := map[string]uint64{}
		for _, name := range names {
			before[name] = carried(name)
		}
		const size = 100_000
		c.Host(names[3]).Commit(hosttest.Put("big", `"`+strings.Repeat("x", size)+`"`))
		c.Settle(10 * time.Second)
		for _, name := range names {
			if n := carried(name) - before[name]; n > 5*size {
				t.Errorf("%s was sent %d bytes for a change of %d", name, n, size)
			}
		}
	})
}

// Syncgroups that share a collection and a part of it: what a member of one of them alone writes into the part reaches the
// members of the other through whoever is a member of both, and waiting waits for it.
func TestWritesPassBetweenNestedSyncgroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		knows := func(_, other string) bool { return other == "a" }
		c := hosttest.New(t, hosttest.Options{Hosts: []string{"a", "b", "c"}, Knows: knows})
		a, b, part := c.Host("a"), c.Host("b"), c.Host("c")
		a.Create()
		a.CreateSyncgroup("part", "x/")
		a.Commit(hosttest.Put("x/0", `0`), hosttest.Put("y/0", `0`))
		b.Join(a)
		part.JoinSyncgroup("part", a)
		b.Wait()
		time.Sleep(5 * time.Second)
		part.Commit(hosttest.Put("x/1", `1`))
		time.Sleep(5 * time.Second)
		b.Wait()
		if got := b.Rows(); got["x/1"] != "1" || got["y/0"] != "0" {
			t.Errorf("b has %v", got)
		}
		b.Commit(hosttest.Put("x/2", `2`), hosttest.Put("y/2", `2`))
		time.Sleep(5 * time.Second)
		if got := part.Rows(); got["x/2"] != "2" || got["y/2"] != "" {
			t.Errorf("the member of the part has %v", got)
		}
		b.Stop()
		part.Commit(hosttest.Put("x/3", `3`))
		time.Sleep(5 * time.Second)
		part.Stop()
		b.Start()
		time.Sleep(5 * time.Second)
		b.Wait()
		if got := b.Rows(); got["x/3"] != "3" {
			t.Errorf("after a restart b has %v", got)
		}
		part.Start()
	})
}
