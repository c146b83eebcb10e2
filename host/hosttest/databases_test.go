package hosttest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// reference: sync-223 of two databases that a pair shares one takes no more where its quota is full, and then is gone at the other
// device: the first is told on both sides, and the other database goes on within a second all the while.
func TestDatabaseInTroubleHoldsUpNoOther(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		const second = "second"
		made, err := a.API().CreateDatabase(t.Context(), &nodev1.CreateDatabaseRequest{Database: second})
		mustDo(t, made, err)
		coll, err := a.API().CreateCollection(t.Context(), &nodev1.CreateCollectionRequest{Database: second, Collection: hosttest.Collection})
		mustDo(t, coll, err)
		sg, err := a.API().CreateSyncgroup(t.Context(), &nodev1.CreateSyncgroupRequest{
			Database: second, Syncgroup: hosttest.Syncgroup, Collections: []*nodev1.SyncgroupCollection{{Collection: hosttest.Collection}},
		})
		mustDo(t, sg, err)
		joined, err := b.API().JoinSyncgroup(t.Context(), &nodev1.JoinSyncgroupRequest{Database: second, Syncgroup: hosttest.Syncgroup, Peer: a.Address()})
		mustDo(t, joined, err)
		get := func(h *hosttest.Host, key string) (string, error) {
			row, err := h.API().Get(t.Context(), &nodev1.GetRequest{Database: second, Collection: hosttest.Collection, Key: key})
			return string(row.GetRow().GetValue()), err
		}
		putIn(t, a, second, hosttest.Collection, "k", `1`)
		eventually(t, "b has the second database", func() bool { v, _ := get(b, "k"); return v == `1` })
		goesOn := func(when string) {
			t.Helper()
			for i := range 5 {
				value := fmt.Sprintf("%q", fmt.Sprint(when, i))
				a.Commit(hosttest.Put("k", value))
				time.Sleep(time.Second)
				synctest.Wait()
				if got := b.Rows()["k"]; got != value {
					t.Errorf("%s: b has %s a second after %s was written", when, got, value)
				}
			}
		}

		quota := uint64(1)
		set, err := b.API().UpdateDatabase(t.Context(), &nodev1.UpdateDatabaseRequest{
			Database: second, Settings: &nodev1.DatabaseSettings{QuotaBytes: &quota},
		})
		mustDo(t, set, err)
		putIn(t, a, second, hosttest.Collection, "k", `2`)
		goesOn("quota is full")
		if v, err := get(b, "k"); err != nil || v != `1` {
			t.Errorf("beyond its quota b has %s, %v", v, err)
		}
		for _, h := range c.Hosts() {
			status, err := h.API().Status(t.Context(), &nodev1.StatusRequest{})
			mustDo(t, status, err)
			if n := len(status.GetRefused()); n != 1 {
				t.Errorf("the status of %s tells of %d databases with refused commits", h.Name(), n)
			}
		}

		gone, err := a.API().DestroyDatabase(t.Context(), &nodev1.DestroyDatabaseRequest{Database: second})
		mustDo(t, gone, err)
		goesOn("destroyed at a")
		_, err = get(a, "k")
		wantCode(t, "get of what was destroyed", err, codes.NotFound)
		if v, err := get(b, "k"); err != nil || v != `1` {
			t.Errorf("where it was not destroyed it has %s, %v", v, err)
		}
	})
}
