package hosttest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Copies of a device are one member, and one peer that can be reached. When one of them leaves, the other is told that it has left, and that a
// copy of it did so; it was not ejected, and may join again.
func TestWhenACopyLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1})
		c.Share()
		a, b := c.Host("a"), c.Host("b")
		c.Settle(time.Minute)
		a.Stop()
		twin := c.Copy(a, "twin")
		a.Start()
		twin.Start()
		time.Sleep(2 * time.Minute)
		s, err := b.API().Status(t.Context(), &nodev1.StatusRequest{})
		mustDo(t, s, err)
		if g := s.GetSyncgroups()[0]; g.GetMembers() != 2 || g.GetConnected() != 1 {
			t.Errorf("b counts %d members, %d of them connected", g.GetMembers(), g.GetConnected())
		}
		leave(t, a)
		eventually(t, "the copy hears that it has left", func() bool { return state(t, twin) == "left" })
		if why := standing(t, twin).GetReason(); !strings.Contains(why, "a copy of this device") {
			t.Errorf("the copy says %q", why)
		}
		twin.Join(b)
		twin.Commit(hosttest.Put("again", `1`))
		eventually(t, "the copy is a member again", func() bool { return b.Rows()["again"] == `1` })
	})
}

// A copy that has left stays out when the other one joins again, until it joins itself.
func TestTheCopyThatLeftStaysOutUntilItJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1})
		c.Share()
		a, b := c.Host("a"), c.Host("b")
		c.Settle(time.Minute)
		a.Stop()
		twin := c.Copy(a, "twin")
		a.Start()
		twin.Start()
		time.Sleep(2 * time.Minute)
		leave(t, a)
		eventually(t, "the copy hears that it has left", func() bool { return state(t, twin) == "left" })
		twin.Join(b)
		time.Sleep(5 * time.Minute)
		b.Commit(hosttest.Put("k", `1`))
		time.Sleep(time.Minute)
		if got := a.Rows()["k"]; got != "" || state(t, a) != "left" {
			t.Errorf("a has %q and is %s", got, state(t, a))
		}
		if got := twin.Rows()["k"]; got != `1` {
			t.Errorf("the copy has %q", got)
		}
		a.Join(b)
		eventually(t, "both are members", func() bool {
			return a.Rows()["k"] == `1` && state(t, a) == "member" && state(t, twin) == "member"
		})
		a.Commit(hosttest.Put("a", `1`))
		twin.Commit(hosttest.Put("twin", `1`))
		eventually(t, "b gets what both write", func() bool { return b.Rows()["a"] == `1` && b.Rows()["twin"] == `1` })
	})
}
