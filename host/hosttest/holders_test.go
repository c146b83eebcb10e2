package hosttest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
)

// Members that have nothing to reclaim say what they hold all the same, since another one may wait for that: here the one that had no
// room for what the others wrote, overwrote and reclaimed long ago.
func TestMembersWithNothingToReclaimHoldNobodyBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "c"}, Keep: time.Second})
		a, b := c.Host("a"), c.Host("b")
		a.Create()
		b.Join(a)
		b.Wait()
		setQuota(t, a, 1)
		for i := range 3 {
			b.Commit(hosttest.Put("k", fmt.Sprint(i)))
		}
		time.Sleep(20 * time.Minute)
		c.Host("c").Join(b) // who is a member stands in the log before what a takes now
		setQuota(t, a, 0)
		time.Sleep(5 * time.Minute)
		b.Commit(hosttest.Put("other", `1`))
		c.Settle(time.Minute)
		time.Sleep(25 * time.Minute)
		for _, h := range c.Hosts() {
			if n := len(h.History("k").GetVersions()); n != 1 {
				t.Errorf("%s keeps %d versions of k, want the present one", h.Name(), n)
			}
		}
	})
}
