package hosttest_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/hosttest"
)

// A host whose virtual machine went back to a snapshot, unnoticed, loses nothing that reached a peer before, nor anything
// that it writes afterwards, whether it has written less or more since then than was forgotten.
func TestHostSetBackLosesNothing(t *testing.T) {
	for _, again := range []int{0, 2, 9} {
		t.Run(fmt.Sprint(again), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "c"}})
				c.Share()
				a := c.Host("a")
				want := map[string]string{}
				put := func(h *hosttest.Host, key, value string) {
					h.Commit(hosttest.Put(key, value))
					want[key] = value
				}
				put(a, "early", `1`)
				put(c.Host("b"), "theirs", `1`)
				c.Settle(time.Minute)
				early := a.Snapshot()
				for i := range 5 {
					put(a, fmt.Sprint("before/", i), `1`)
				}
				put(a, "early", `"before"`)
				c.Settle(time.Minute)

				a.SetBack(early)
				c.Partition([]string{"a"}, []string{"b", "c"})
				a.Start()
				for i := range again {
					put(a, fmt.Sprint("again/", i), fmt.Sprint(i))
				}
				if again > 0 {
					put(a, "theirs", `"again"`)
				}
				since := a.Snapshot() // keeps what was written since
				c.Heal()
				c.Settle(time.Minute)
				if diff := cmp.Diff(want, a.Rows()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				put(a, "late", `1`)
				c.Settle(time.Minute)

				// Back again, to where the host had not become another writer yet.
				a.SetBack(since)
				a.Start()
				put(a, "last", `1`)
				c.Settle(time.Minute)
				if diff := cmp.Diff(maps.Clone(want), a.Rows()); diff != "" {
					t.Errorf("after going back twice (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// reference: sync-217 a device that destroyed and made its database again gets its own earlier data back when it joins
// again.
func TestDestroyedDatabaseComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1})
		c.Share()
		a, b := c.Host("a"), c.Host("b")
		a.Commit(hosttest.Put("mine", `1`), hosttest.Put("both", `1`))
		c.Settle(time.Minute)
		b.Commit(hosttest.Put("both", `2`))
		c.Settle(time.Minute)
		want := a.Rows()
		a.Destroy()
		a.Join(b)
		a.Wait()
		a.Commit(hosttest.Put("new", `1`))
		want["new"] = `1`
		c.Settle(time.Minute)
		if diff := cmp.Diff(want, a.Rows()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A host whose store was put back from a copy is another writer before its first write, also where nobody can tell it.
func TestPutBackCopyIsAnotherWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1})
		c.Share()
		a, b := c.Host("a"), c.Host("b")
		a.Commit(hosttest.Put("kept", `1`))
		c.Settle(time.Minute)
		early := a.Snapshot()
		a.Commit(hosttest.Put("sent", `1`), hosttest.Put("both", `"sent"`))
		before := a.Commit(hosttest.Put("more", `1`))[0]
		c.Settle(time.Minute)
		want := b.Rows()
		a.Stop()
		a.PutBackCopy(early)
		c.Partition([]string{"a"}, []string{"b"})
		a.Start()
		after := a.Commit(hosttest.Put("alone", `1`))[0]
		want["alone"] = `1`
		if w, _, _ := strings.Cut(before, "-"); strings.HasPrefix(after, w+"-") {
			t.Errorf("it wrote version %s after it was put back, and %s before", after, before)
		}
		c.Heal()
		c.Settle(time.Minute)
		if diff := cmp.Diff(want, a.Rows()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
