package hosttest_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/hosttest"
	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/wire"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// settles reports whether the commit does nothing but settle conflicts.
func settles(commit []byte) bool {
	c, err := wire.DecodeCommit(commit)
	return err == nil && !slices.ContainsFunc(c.Records, func(e wire.Entry) bool { return e.Record.Kind != wire.Link })
}

// A host that leaves conflicts to people was never sent that others had settled one. Comparing finds it, and settles it there, too; from then on all
// hold the same.
func TestLinkIsNotMissedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var withheld atomic.Bool
		withheld.Store(true)
		c := hosttest.New(t, hosttest.Options{
			Seed: 1, Hosts: []string{"a", "b", "c"}, Keep: time.Second,
			Tap: func(_, to string, _ *delta.Open) hosttest.Answer {
				return func(_ context.Context, m delta.Message, send func(delta.Message) error) error {
					if to == "c" && withheld.Load() {
						m.Commits = slices.DeleteFunc(slices.Clone(m.Commits), settles)
					}
					return send(m)
				}
			},
		})
		c.Share()
		lost := c.Host("c")
		if _, err := lost.API().SetSchema(t.Context(), &nodev1.SetSchemaRequest{
			Database: hosttest.Database, Schema: &nodev1.Schema{Version: 1, Policy: []byte(`{"rules":[` + leaveAll + `]}`)},
		}); err != nil {
			t.Fatal(err)
		}
		c.Host("a").Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		c.Partition([]string{"b"}, []string{"a", "c"})
		c.Host("b").Commit(hosttest.Put("k", `"b"`))
		time.Sleep(time.Second)
		c.Host("a").Commit(hosttest.Put("k", `"a"`))
		c.Heal()
		c.Settle(time.Minute)
		if got, others := conflicts(t, lost), conflicts(t, c.Host("a")); len(got) != 1 || len(others) != 0 {
			t.Fatalf("in conflict are %q on c, from which the link was withheld, and %q on a", got, others)
		}
		withheld.Store(false)
		time.Sleep(20 * time.Minute)
		if got := conflicts(t, lost); len(got) != 0 {
			t.Errorf("still in conflict on c: %q", got)
		}
		if diff := cmp.Diff(c.Host("a").Rows(), lost.Rows()); diff != "" {
			t.Errorf("rows (-a +c):\n%s", diff)
		}
		ago, divergences := verified(t, lost)
		if divergences == 0 {
			t.Error("nobody noticed")
		}
		for _, peer := range []string{"a", "b"} {
			if d, once := ago[peer]; !once || d > 15*time.Minute {
				t.Errorf("c has verified %s %v ago (%v)", peer, d, once)
			}
		}
		time.Sleep(30 * time.Minute)
		if _, again := verified(t, lost); again != divergences {
			t.Errorf("c finds %d divergences, and %d before", again, divergences)
		}
	})
}
