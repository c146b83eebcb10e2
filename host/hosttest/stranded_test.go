package hosttest_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// apartAll cuts every link.
func apartAll(c *hosttest.Cluster) {
	var names []string
	for _, h := range c.Hosts() {
		names = append(names, h.Name())
	}
	for _, name := range names {
		c.Partition([]string{name}, names)
	}
}

// bothLeave has two hosts, which are all, leave out of each other's sight, and hear of it when they meet.
func bothLeave(t *testing.T, c *hosttest.Cluster, a, b *hosttest.Host) {
	t.Helper()
	a.Commit(hosttest.Put("before", `1`))
	c.Settle(time.Minute)
	apartAll(c)
	leave(t, a)
	leave(t, b)
	c.Heal()
	for _, h := range c.Hosts() {
		eventually(t, h.Name()+" hears that nobody is left", func() bool { return deserted(t, h) })
	}
}

func tryCreate(t *testing.T, h *hosttest.Host) error {
	_, err := h.API().CreateSyncgroup(t.Context(), &nodev1.CreateSyncgroupRequest{
		Database: hosttest.Database, Syncgroup: hosttest.Syncgroup,
		Collections: []*nodev1.SyncgroupCollection{{Collection: hosttest.Collection}},
	})
	return err
}

func tryDestroy(t *testing.T, h *hosttest.Host) error {
	_, err := h.API().DestroySyncgroup(t.Context(), &nodev1.DestroySyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
	return err
}

func tryDestroyCollection(t *testing.T, h *hosttest.Host) error {
	_, err := h.API().DestroyCollection(t.Context(), &nodev1.DestroyCollectionRequest{Database: hosttest.Database, Collection: hosttest.Collection})
	return err
}

// wantRefusal checks that something is refused, and that the reason says what to do.
func wantRefusal(t *testing.T, what string, err error, code codes.Code, says ...string) {
	t.Helper()
	wantCode(t, what, err, code)
	for _, text := range says {
		if got := status.Convert(err).Message(); !strings.Contains(got, text) {
			t.Errorf("%s: %q does not say %q", what, got, text)
		}
	}
}

func deserted(t *testing.T, h *hosttest.Host) bool {
	t.Helper()
	s := standing(t, h)
	return s.GetState() == "left" && strings.Contains(s.GetReason(), "create it again")
}

// becomeOne has all but at join there, and checks that they are one syncgroup which exchanges rows.
func becomeOne(t *testing.T, c *hosttest.Cluster, at *hosttest.Host) {
	t.Helper()
	at.Commit(hosttest.Put("anew", `1`))
	all := ""
	for _, h := range c.Hosts() {
		if all += " " + h.Name(); h != at {
			h.Join(at)
			h.Wait()
		}
	}
	c.Settle(5 * time.Minute)
	wantMembers(t, all[1:], c.Hosts()...)
	for _, h := range c.Hosts() {
		h.Commit(hosttest.Put("by "+h.Name(), `1`))
	}
	c.Settle(5 * time.Minute)
	for _, h := range c.Hosts() {
		if got := h.Rows(); got["before"] != `1` || got["anew"] != `1` || got["by a"] != `1` || got["by b"] != `1` {
			t.Errorf("%s has %v", h.Name(), got)
		}
		if got := alarms(t, h); got != "" {
			t.Errorf("%s has the alarms %q", h.Name(), got)
		}
	}
}

// When all members leave out of each other's sight, they learn of it when they meet. Then the name is free: any of them creates it again, keeping
// its rows, and the others join.
func TestAllLeaveAtOnce(t *testing.T) {
	for _, opts := range []hosttest.Options{{}, three} {
		shared(t, opts, func(t *testing.T, c *hosttest.Cluster) {
			c.Host("a").Commit(hosttest.Put("before", `1`))
			c.Settle(time.Minute)
			apartAll(c)
			for _, h := range c.Hosts() {
				leave(t, h)
			}
			c.Heal()
			for _, h := range c.Hosts() {
				eventually(t, h.Name()+" hears that nobody is left", func() bool { return deserted(t, h) })
				wantMembers(t, "", h)
				frozen(t, h, "before", `1`)
			}
			b := c.Host("b")
			_, err := b.API().JoinSyncgroup(t.Context(), &nodev1.JoinSyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
			wantRefusal(t, "join where nobody is", err, codes.NotFound, "create it again")
			if err := tryCreate(t, b); err != nil {
				t.Fatal(err)
			}
			becomeOne(t, c, b)
		})
	}
}

// What nobody shares any more is everybody's own copy: it can be destroyed, and the syncgroup as well.
func TestWhatNobodySharesCanBeDestroyed(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		bothLeave(t, c, a, b)
		if err := tryDestroyCollection(t, a); err != nil {
			t.Errorf("destroy the collection: %v", err)
		}
		if err := tryDestroy(t, b); err != nil {
			t.Errorf("destroy the syncgroup: %v", err)
		}
		if got := state(t, b); got != "destroyed" {
			t.Errorf("b is %s", got)
		}
		if err := tryDestroyCollection(t, b); err != nil {
			t.Errorf("destroy the collection when the syncgroup has ended: %v", err)
		}
	})
}

// Who has left and reaches nobody does not take the name from members that it knows of by creating it again; but with Admin it may destroy the
// syncgroup, as from any device. Members that were away hear of it when they meet.
func TestOneThatLeftDestroys(t *testing.T) {
	for _, heard := range []bool{false, true} {
		for _, again := range []bool{false, true} {
			shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
				a, b, d := c.Host("a"), c.Host("b"), c.Host("c")
				a.Commit(hosttest.Put("before", `1`))
				c.Settle(time.Minute)
				if heard {
					leave(t, a)
					eventually(t, "b and c hear of it", func() bool { return members(b) == "b c" && members(d) == "b c" })
					apartAll(c)
				} else {
					apartAll(c)
					leave(t, a)
				}
				wantRefusal(t, "create what others have", tryCreate(t, a), codes.AlreadyExists, "join it again", "destroy it")
				wantRefusal(t, "destroy what it may come back to", tryDestroyCollection(t, a), codes.FailedPrecondition, "destroy the syncgroup")
				if err := tryDestroy(t, a); err != nil {
					t.Fatal(err)
				}
				if got := state(t, a); got != "destroyed" {
					t.Errorf("a is %s", got)
				}
				if again {
					if err := tryCreate(t, a); err != nil {
						t.Fatal(err)
					}
				}
				c.Heal()
				for _, h := range []*hosttest.Host{b, d} {
					eventually(t, h.Name()+" hears of the end", func() bool { return state(t, h) == "destroyed" })
				}
				if !again {
					a.CreateSyncgroup(hosttest.Syncgroup, "")
				}
				becomeOne(t, c, a)
			})
		}
	}
}

// While one member is away the others leave: it is the only one, and who left joins there, or ends it.
func TestAllLeaveWhileOneIsAway(t *testing.T) {
	shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
		a, b, d := c.Host("a"), c.Host("b"), c.Host("c")
		a.Commit(hosttest.Put("before", `1`))
		c.Settle(time.Minute)
		d.Stop()
		leave(t, a)
		leave(t, b)
		time.Sleep(5 * time.Minute)
		for _, h := range []*hosttest.Host{a, b} {
			wantRefusal(t, "create on "+h.Name(), tryCreate(t, h), codes.AlreadyExists, "/device/c", "destroy it")
		}
		d.Start()
		eventually(t, "c hears that it is the only one", func() bool { return members(d) == "c" })
		becomeOne(t, c, d)
	})
}

// Of the last two one leaves while the other destroys: both see it destroyed, and either creates it again.
func TestOneLeavesWhileTheOtherDestroys(t *testing.T) {
	for _, again := range []string{"a", "b"} {
		shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
			a, b := c.Host("a"), c.Host("b")
			a.Commit(hosttest.Put("before", `1`))
			c.Settle(time.Minute)
			apartAll(c)
			leave(t, a)
			destroy(t, b)
			c.Heal()
			eventually(t, "a hears that it was destroyed", func() bool { return state(t, a) == "destroyed" })
			c.Host(again).CreateSyncgroup(hosttest.Syncgroup, "")
			becomeOne(t, c, c.Host(again))
		})
	}
}

// Who is ejected while it leaves was ejected, hears so when it meets a member, and comes back when it is allowed to.
func TestOneLeavesWhileItIsEjected(t *testing.T) {
	for _, first := range []string{"leave", "eject"} {
		shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
			a, b := c.Host("a"), c.Host("b")
			a.Commit(hosttest.Put("before", `1`))
			c.Settle(time.Minute)
			apartAll(c)
			if first == "leave" {
				leave(t, b)
				time.Sleep(time.Second)
			}
			eject(t, a, "b")
			if first == "eject" {
				time.Sleep(time.Second)
				leave(t, b)
			}
			c.Heal()
			eventually(t, "b hears that it was ejected", func() bool { return state(t, b) == "ejected" })
			wantMembers(t, "a", a)
			wantCode(t, "create on who was ejected", tryCreate(t, b), codes.AlreadyExists)
			wantCode(t, "destroy on who was ejected", tryDestroy(t, b), codes.FailedPrecondition)
			allow(t, a, "b")
			becomeOne(t, c, a)
		})
	}
}

// Two that create the name again out of each other's sight, after all had left, have an alarm when they meet, until one joins the other.
func TestBothCreateAgain(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		bothLeave(t, c, a, b)
		apartAll(c)
		a.CreateSyncgroup(hosttest.Syncgroup, "")
		time.Sleep(time.Second)
		b.CreateSyncgroup(hosttest.Syncgroup, "")
		c.Heal()
		time.Sleep(time.Minute)
		eventually(t, "both have an alarm", func() bool { return alarms(t, a) == "apart of b" && alarms(t, b) == "apart of a" })
		becomeOne(t, c, b)
	})
}

// A member that was never heard of where the name was created again hears that its syncgroup has ended, and is invited to the new one.
func TestFormerMemberIsInvited(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		a.Commit(hosttest.Put("before", `1`))
		c.Settle(time.Minute)
		destroy(t, a)
		a.CreateSyncgroup(hosttest.Syncgroup, "")
		eventually(t, "b hears of the end", func() bool { return state(t, b) == "destroyed" })
		stream, err := b.API().ListInvitations(t.Context(), &nodev1.ListInvitationsRequest{Database: hosttest.Database})
		if err != nil {
			t.Fatal(err)
		}
		if i, err := stream.Recv(); errors.Is(err, io.EOF) || err != nil || !strings.HasSuffix(i.GetSyncgroup(), ":"+hosttest.Syncgroup) {
			t.Errorf("b is invited to %v, %v", i, err)
		}
	})
}
