package hosttest_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	"github.com/syncbase/syncbase/host/internal/delta"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

func allow(t *testing.T, h *hosttest.Host, member string) {
	t.Helper()
	resp, err := h.API().AllowMember(t.Context(), &nodev1.AllowMemberRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Member: member})
	mustDo(t, resp, err)
}

// ejectedUnheard makes hosts a, b and c of which a has ejected b and is gone for good; b has heard of it, and c has not.
func ejectedUnheard(t *testing.T) *hosttest.Cluster {
	t.Helper()
	opts := three
	var silent atomic.Bool
	opts.Tap = func(from, to string, _ *delta.Open) hosttest.Answer {
		if from != "b" || to != "a" {
			return nil
		}
		return func(_ context.Context, m delta.Message, send func(delta.Message) error) error {
			if silent.Load() {
				return nil
			}
			return send(m)
		}
	}
	c := hosttest.New(t, opts)
	a, b := c.Host("a"), c.Host("b")
	c.Share()
	c.Settle(time.Minute)
	c.Partition([]string{"a"}, []string{"b", "c"})
	eject(t, a, "b")
	leave(t, a)
	c.Heal()
	c.Partition([]string{"a", "b"}, []string{"c"})
	// While a waits for what b has, it serves b, which let it in, whatever it knows of it.
	setSpec(t, b, `{"description":"new"}`)
	silent.Store(true)
	a.Join(b)
	eventually(t, "b hears that it was ejected", func() bool { return state(t, b) == "ejected" })
	a.Stop()
	c.Heal()
	return c
}

// A member that alone knows of its ejection tells the others, so that they can undo it.
func TestEjectionIsHeardOfFromTheEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ejectedUnheard(t)
		b, other := c.Host("b"), c.Host("c")
		eventually(t, "c hears that b was ejected", func() bool { return !strings.Contains(members(other), "b") })
		allow(t, other, "b")
		b.Join(other)
		eventually(t, "b is a member again", func() bool { return state(t, b) == "member" && strings.Contains(members(other), "b") })
		b.Commit(hosttest.Put("back", `1`))
		eventually(t, "c has what b writes", func() bool { return other.Rows()["back"] == `1` })
	})
}

// An ejection by somebody who did not know that an earlier one was undone counts, and can be undone in its turn.
func TestEjectionInIgnoranceOfAPardonCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, three)
		a, b, other := c.Host("a"), c.Host("b"), c.Host("c")
		c.Share()
		c.Settle(time.Minute)
		c.Partition([]string{"c"}, []string{"a", "b"})
		eject(t, a, "b")
		allow(t, a, "b")
		b.Join(a)
		eventually(t, "b is a member again", func() bool { return state(t, b) == "member" && members(a) == "a b c" })
		time.Sleep(time.Minute)
		// Made later than the pardon, and in ignorance of it.
		eject(t, other, "b")
		c.Heal()
		eventually(t, "b hears that it was ejected", func() bool { return state(t, b) == "ejected" && members(a) == "a c" })
		allow(t, a, "b")
		b.Join(a)
		c.Settle(time.Minute)
		time.Sleep(5 * time.Minute)
		wantMembers(t, "a b c", c.Hosts()...)
	})
}
