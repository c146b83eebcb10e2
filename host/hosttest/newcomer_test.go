package hosttest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/hosttest"
)

// A device that joins where a delete is forgotten already writes the deleted row anew. Its clock is far behind, and somebody
// remembers the delete still: what it wrote stays all the same, everywhere.
func TestNewcomerWritesAfterForgottenDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "late"}, Keep: time.Second})
		a, b, late := c.Host("a"), c.Host("b"), c.Host("late")
		late.Stop()
		late.SetClock(-time.Hour)
		a.Create()
		b.Join(a)
		a.Commit(hosttest.Put("k", `1`))
		time.Sleep(time.Minute)
		b.Stop() // so that both do not reclaim at the same moments
		time.Sleep(900 * time.Millisecond)
		b.Start()
		a.Commit(hosttest.Delete("k"))
		a.Commit(hosttest.Put("other", `1`))
		began := time.Now()
		for remembers(t, a, "k") == remembers(t, b, "k") {
			if time.Since(began) > 20*time.Minute {
				t.Fatal("nobody forgets the delete, or both at the same time: the test does not test anything")
			}
			time.Sleep(50 * time.Millisecond)
		}
		forgot, knows := a, b
		if remembers(t, a, "k") {
			forgot, knows = b, a
		}
		knows.Stop()
		late.Start()
		late.Join(forgot)
		late.Wait()
		late.Commit(hosttest.Put("k", `2`))
		knows.Start()
		c.Settle(5 * time.Minute)
		want := map[string]string{"k": `2`, "other": `1`}
		for _, h := range c.Hosts() {
			if diff := cmp.Diff(want, h.Rows()); diff != "" {
				t.Errorf("rows of %s (-want +got):\n%s", h.Name(), diff)
			}
		}
	})
}
