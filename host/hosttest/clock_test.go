package hosttest_test

import (
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// trueTime is a time server that is always right and always there.
func trueTime() time.Time { return time.Now() }

// skews returns by how much a daemon corrects its clock, in its own opinion and in the shared database.
func skews(t *testing.T, h *hosttest.Host) (own, shared time.Duration) {
	t.Helper()
	resp, err := h.API().Status(t.Context(), &nodev1.StatusRequest{})
	if err != nil || len(resp.GetClocks()) == 0 {
		t.Fatalf("status of %s: %v, %v", h.Name(), resp, err)
	}
	own = resp.GetClocks()[0].GetSkew().AsDuration()
	shared = own
	for _, c := range resp.GetClocks()[1:] {
		shared = c.GetSkew().AsDuration()
	}
	return own, shared
}

// near reports whether two skews are the same but for the time that a question is on the way.
func near(a, b time.Duration) bool { return (a - b).Abs() < 100*time.Millisecond }

// written commits a row and returns when that was, by the daemon.
func written(t *testing.T, h *hosttest.Host, key string) time.Time {
	t.Helper()
	h.Commit(hosttest.Put(key, `1`))
	resp, err := h.API().Get(t.Context(), &nodev1.GetRequest{Database: hosttest.Database, Collection: hosttest.Collection, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetRow().GetUpdated().AsTime()
}

// restart makes the daemon ask the time server from now on.
func restart(h *hosttest.Host, server func() time.Time) {
	h.Stop()
	h.SetTimeServer(server)
	h.Start()
}

// reference: store-129
// The clock advances; that it was set forward or back is seen within two seconds, and made good where a server said what time it is.
// reference: sync-133
// The time of writes only goes forward.
// reference: sync-134
// A clock that is set is believed as long as no server said otherwise, and made good for once one has.
// reference: sync-135
// A move is noticed within two seconds.
func TestClockThatIsSet(t *testing.T) {
	shared(t, hosttest.Options{Hosts: []string{"a"}}, func(t *testing.T, c *hosttest.Cluster) {
		a := c.Host("a")
		before := written(t, a, "k")
		a.SetClock(time.Hour)
		time.Sleep(2 * time.Second)
		if at := written(t, a, "k"); !near(time.Until(at), time.Hour) {
			t.Errorf("without a server a write is stamped %v off", time.Until(at))
		} else if !at.After(before) {
			t.Errorf("a write at %v after one at %v", at, before)
		}
		last := written(t, a, "k")
		for _, set := range []time.Duration{-time.Hour, 0, time.Hour} {
			a.SetClock(set)
			time.Sleep(2 * time.Second)
			at := written(t, a, "k")
			if at.Before(last) {
				t.Errorf("with the clock set %v off a write is stamped %v, and the one before %v", set, at, last)
			}
			last = at
		}
		restart(a, trueTime)
		time.Sleep(2 * time.Second)
		if own, _ := skews(t, a); !near(own, -time.Hour) {
			t.Fatalf("the server makes it correct its clock by %v", own)
		}
		for _, set := range []time.Duration{3 * time.Hour, -3 * time.Hour} {
			a.SetClock(set)
			time.Sleep(2 * time.Second)
			if own, _ := skews(t, a); !near(own, -set) {
				t.Errorf("with the clock set %v off it corrects by %v", set, own)
			}
		}
	})
}

// reference: store-130
// A time server is asked once an interval and believed in both directions, across restarts.
// reference: sync-136
// A time server moves the time forwards and backwards.
// reference: sync-137
// What it said outlives a restart in which it cannot be reached.
// reference: sync-138
// It is asked once an interval, and not in between.
func TestTimeServer(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		shared(t, hosttest.Options{Hosts: []string{"a"}}, func(t *testing.T, c *hosttest.Cluster) {
			a := c.Host("a")
			a.SetClock(off)
			asked := make(chan struct{}, 100)
			restart(a, func() time.Time { asked <- struct{}{}; return time.Now() })
			time.Sleep(2 * time.Second)
			if own, _ := skews(t, a); !near(own, -off) {
				t.Fatalf("off by %v, it corrects by %v", off, own)
			}
			round := len(asked)
			time.Sleep(58 * time.Minute)
			if n := len(asked); round == 0 || n != round {
				t.Errorf("the server was asked %d times at first and %d times in an hour", round, n)
			}
			time.Sleep(3 * time.Minute)
			if n := len(asked); n != 2*round {
				t.Errorf("the server was asked %d times in two rounds, and %d in one", n, round)
			}
			restart(a, func() time.Time { return time.Time{} })
			if own, _ := skews(t, a); !near(own, -off) {
				t.Errorf("after a restart it corrects by %v", own)
			}
		})
	}
}

// chain are four daemons in a row, each of which knows only its neighbours.
func chain(t *testing.T, test func(t *testing.T, c *hosttest.Cluster)) {
	order := map[string]int{"a": 0, "b": 1, "c": 2, "d": 3}
	knows := func(host, other string) bool { return order[host]-order[other] == 1 }
	shared(t, hosttest.Options{Hosts: []string{"a", "b", "c", "d"}, Knows: knows}, func(t *testing.T, c *hosttest.Cluster) {
		// Members tell each other where they are, and would all meet.
		for host, i := range order {
			for other, j := range order {
				if i-j > 1 || j-i > 1 {
					c.Cut(host, other)
				}
			}
		}
		defer c.Heal()
		test(t, c)
	})
}

// reference: store-131
// The time of a server spreads two hops and no further.
// reference: sync-139
// The time of a server reaches two devices from the one that asked it, and not the third.
// reference: sync-132
// A device tells its peers the time that it corrected, not that of its machine.
func TestTimeTravelsTwoHops(t *testing.T) {
	chain(t, func(t *testing.T, c *hosttest.Cluster) {
		for _, h := range c.Hosts() {
			h.SetClock(time.Hour)
		}
		restart(c.Host("a"), trueTime)
		time.Sleep(time.Hour)
		for name, want := range map[string]time.Duration{"a": -time.Hour, "b": -time.Hour, "c": -time.Hour, "d": 0} {
			if _, got := skews(t, c.Host(name)); !near(got, want) {
				t.Errorf("%s corrects its clock by %v, want %v", name, got, want)
			}
		}
		if own, _ := skews(t, c.Host("b")); own != 0 {
			t.Errorf("b takes over a peer's time for everything: %v", own)
		}
	})
}

// reference: store-131
// Of the times of two servers the fresher one wins.
// reference: sync-140
// Of two servers' answers the fresher one wins, wherever in the chain it comes from, and goes on spreading.
func TestTheFreshestTimeWins(t *testing.T) {
	chain(t, func(t *testing.T, c *hosttest.Cluster) {
		restart(c.Host("a"), func() time.Time { return time.Now().Add(-time.Hour) })
		time.Sleep(20 * time.Minute)
		if _, got := skews(t, c.Host("b")); !near(got, -time.Hour) {
			t.Fatalf("b corrects its clock by %v", got)
		}
		// What a was told is not told again while d's server answers.
		restart(c.Host("a"), func() time.Time { return time.Time{} })
		restart(c.Host("d"), trueTime)
		time.Sleep(20 * time.Minute)
		for _, name := range []string{"b", "c", "d"} {
			if _, got := skews(t, c.Host(name)); !near(got, 0) {
				t.Errorf("%s corrects its clock by %v", name, got)
			}
		}
	})
}

// reference: store-131
// What was told by a server before a restart is told to nobody.
// reference: sync-141
// A device that was restarted since its server answered, and whose time is far off, is not followed.
func TestRestartedDeviceIsNotFollowed(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		b.Stop()
		restart(a, func() time.Time { return time.Now().Add(time.Hour) })
		time.Sleep(2 * time.Second)
		restart(a, nil)
		b.Start()
		time.Sleep(10 * time.Minute)
		if _, got := skews(t, b); got != 0 {
			t.Errorf("b follows a's time by %v", got)
		}
	})
}

// reference: sync-221
// A peer moves no clock but that of the databases that it shares.
func TestPeerMovesOnlySharedDatabases(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		if _, err := b.API().CreateDatabase(t.Context(), &nodev1.CreateDatabaseRequest{Database: "own"}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.API().CreateCollection(t.Context(), &nodev1.CreateCollectionRequest{Database: "own", Collection: "c"}); err != nil {
			t.Fatal(err)
		}
		restart(a, func() time.Time { return time.Now().Add(24 * time.Hour) })
		time.Sleep(10 * time.Minute)
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		if own, got := skews(t, b); own != 0 || !near(got, 24*time.Hour) {
			t.Fatalf("b corrects by %v, and by %v in the shared database", own, got)
		}
		put := &nodev1.Op{Op: &nodev1.Op_Put{Put: &nodev1.Put{Collection: "c", Key: "k", Value: []byte(`1`)}}}
		if _, err := b.API().Commit(t.Context(), &nodev1.CommitRequest{Database: "own", Ops: []*nodev1.Op{put}}); err != nil {
			t.Fatal(err)
		}
		resp, err := b.API().Get(t.Context(), &nodev1.GetRequest{Database: "own", Collection: "c", Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		if at := resp.GetRow().GetUpdated().AsTime(); !near(time.Until(at), 0) {
			t.Errorf("a write into another database is stamped %v off", time.Until(at))
		}
	})
}
