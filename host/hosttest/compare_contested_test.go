package hosttest_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/hosttest"
	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/wire"
)

const leaveAll = `{"collection":"notes","resolver":"defer"}`

// deletes reports whether the commit deletes something.
func deletes(commit []byte) bool {
	c, err := wire.DecodeCommit(commit)
	return err == nil && slices.ContainsFunc(c.Records, func(e wire.Entry) bool { return e.Record.Kind == wire.Delete })
}

// A delete that one host has as a side of a conflict, and another was never sent, is found by comparing, and is a side there, too.
func TestDeleteInConflictIsNotMissedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var withheld atomic.Bool
		withheld.Store(true)
		c := hosttest.New(t, hosttest.Options{
			Seed: 1, Hosts: []string{"a", "b", "c"}, Keep: time.Second,
			Tap: func(_, to string, _ *delta.Open) hosttest.Answer {
				return func(_ context.Context, m delta.Message, send func(delta.Message) error) error {
					if to == "c" && withheld.Load() {
						m.Commits = slices.DeleteFunc(slices.Clone(m.Commits), deletes)
					}
					return send(m)
				}
			},
		})
		c.Share()
		policy(t, c, leaveAll)
		for i := range 5 {
			c.Host("a").Commit(hosttest.Put(fmt.Sprint("k", i), `1`))
		}
		c.Settle(time.Minute)
		c.Partition([]string{"b"}, []string{"a", "c"})
		c.Host("b").Commit(hosttest.Delete("k3"))
		time.Sleep(time.Second)
		c.Host("a").Commit(hosttest.Put("k3", `2`))
		c.Heal()
		c.Settle(time.Minute)
		want := conflicts(t, c.Host("a"))
		if got := conflicts(t, c.Host("c")); len(want) != 1 || len(got) != 0 {
			t.Fatalf("in conflict are %q on a and %q on c, from which one side was withheld", want, got)
		}
		withheld.Store(false)
		time.Sleep(20 * time.Minute)
		got := conflicts(t, c.Host("c"))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("conflicts (-a +c):\n%s", diff)
		}
		if _, divergences := verified(t, c.Host("c")); divergences == 0 {
			t.Error("nobody noticed")
		}
	})
}

// Hosts that leave all deletes out of their sums, as all once did, and those that count them where they are a side of a conflict, do not
// accuse each other.
func TestThoseWhoCountOtherwiseAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{
			Seed: 1, Hosts: []string{"a", "b", "c"}, Miscounting: func(host string) bool { return host == "c" },
		})
		c.Share()
		policy(t, c, leaveAll)
		for i := range 20 {
			c.Host("a").Commit(hosttest.Put(fmt.Sprint("k", i), `1`))
		}
		c.Settle(time.Minute)
		c.Partition([]string{"b"}, []string{"a", "c"})
		for i := range 10 { // readers see the delete of some and the value of others
			del, put := c.Host("b"), c.Host("a")
			if i%2 == 0 {
				del, put = put, del
			}
			del.Commit(hosttest.Delete(fmt.Sprint("k", i)))
			time.Sleep(time.Second)
			put.Commit(hosttest.Put(fmt.Sprint("k", i), `2`))
			put, del = del, put
			put.Commit(hosttest.Put(fmt.Sprint("k", 10+i), `2`))
			time.Sleep(time.Second)
			del.Commit(hosttest.Delete(fmt.Sprint("k", 10+i)))
		}
		c.Heal()
		c.Settle(time.Minute)
		time.Sleep(15 * time.Minute)
		for _, h := range c.Hosts() {
			if n := len(conflicts(t, h)); n != 20 {
				t.Errorf("%s has %d conflicts", h.Name(), n)
			}
			ago, divergences := verified(t, h)
			if len(ago) != 2 || divergences != 0 {
				t.Errorf("%s has verified %v, with %d divergences", h.Name(), ago, divergences)
			}
		}
	})
}
