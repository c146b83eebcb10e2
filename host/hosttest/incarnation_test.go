package hosttest_test

import (
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
)

// An ejection that was made out of sight, in a syncgroup that had been destroyed and was created again meanwhile, does not
// count in the new one. Whoever was a member of the old one, or was ejected from it, learns that it was destroyed, and may
// join the new one.
func TestEjectionEndsWithItsSyncgroup(t *testing.T) {
	shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
		a, b, d := c.Host("a"), c.Host("b"), c.Host("c")
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		c.Partition([]string{"a"}, []string{"b", "c"})
		eject(t, b, "c")
		eventually(t, "c hears that it was ejected", func() bool { return state(t, d) == "ejected" })
		destroy(t, a)
		a.CreateSyncgroup(hosttest.Syncgroup, "")
		wantMembers(t, "a", a)
		c.Heal()
		for _, h := range []*hosttest.Host{b, d} {
			eventually(t, h.Name()+" hears that it was destroyed", func() bool { return state(t, h) == "destroyed" })
			frozen(t, h, "k", `1`)
		}
		a.Commit(hosttest.Put("k", `2`))
		d.Join(a)
		d.Wait()
		b.Join(a)
		b.Wait()
		c.Settle(5 * time.Minute)
		wantMembers(t, "a b c", a, b, d)
	})
}

// The end of a syncgroup is not that of another which was created under its name before the end was heard of.
func TestEndOfTheFormerSyncgroup(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		c.Cut("a", "b")
		c.Cut("b", "a")
		destroy(t, a)
		a.CreateSyncgroup(hosttest.Syncgroup, "")
		time.Sleep(time.Minute)
		destroy(t, b)
		c.Heal()
		b.Join(a)
		b.Wait()
		c.Settle(5 * time.Minute)
		wantMembers(t, "a b", a, b)
		a.Commit(hosttest.Put("k", `2`))
		c.Settle(5 * time.Minute)
		if got := b.Rows()["k"]; got != `2` {
			t.Errorf("b has %s", got)
		}
	})
}

// Nobody is let into another syncgroup than the one it was in without having asked for that.
func TestMemberUnheardOfIsNotTakenOver(t *testing.T) {
	shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
		a, b, d := c.Host("a"), c.Host("b"), c.Host("c")
		leave(t, d)
		eventually(t, "a hears that c has left", func() bool { return members(a) == "a b" })
		c.Partition([]string{"a"}, []string{"b", "c"})
		d.Join(b)
		d.Wait()
		destroy(t, a)
		a.CreateSyncgroup(hosttest.Syncgroup, "")
		time.Sleep(5 * time.Minute)
		c.Heal()
		for _, h := range []*hosttest.Host{b, d} {
			eventually(t, h.Name()+" hears that it was destroyed", func() bool { return state(t, h) == "destroyed" })
		}
		time.Sleep(5 * time.Minute)
		wantMembers(t, "a", a)
	})
}
