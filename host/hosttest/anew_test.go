package hosttest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
)

// Where conflicts are left to people, a row that is made anew after it was deleted is in no conflict with its delete, although who
// makes it has forgotten that and another member has not.
func TestRowMadeAnewIsInNoConflictWithItsForgottenDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "c"}, Keep: time.Second})
		c.Share()
		c.Host("c").Stop() // so that not all of them reclaim at the same moments
		time.Sleep(900 * time.Millisecond)
		c.Host("c").Start()
		policy(t, c, `{"collection":"notes","resolver":"defer"}`)
		c.Host("a").Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		c.Host("b").Commit(hosttest.Delete("k"))
		c.Host("b").Commit(hosttest.Put("other", `1`))
		c.Settle(time.Minute)
		var forgot, knows *hosttest.Host
		for began := time.Now(); forgot == nil; time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > 10*time.Minute {
				t.Fatal("nobody forgets the delete")
			}
			for _, h := range c.Hosts() {
				if !remembers(t, h, "k") {
					forgot = h
				}
			}
		}
		for _, h := range c.Hosts() {
			if remembers(t, h, "k") {
				knows = h
			}
		}
		if knows == nil {
			t.Fatal("all have forgotten the delete at the same time: the test does not test anything")
		}
		forgot.Commit(hosttest.Put("k", `2`))
		c.Settle(time.Minute)
		for _, h := range c.Hosts() {
			if list := conflicts(t, h); len(list) > 0 || h.Rows()["k"] != `2` {
				t.Errorf("%s shows %q, with the conflicts %q", h.Name(), h.Rows()["k"], list)
			}
		}
	})
}
