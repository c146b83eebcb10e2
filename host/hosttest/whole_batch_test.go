package hosttest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// reference: sync-200 a batch that takes many messages, and more than one connection, since each breaks in the middle of it, is seen
// when all of it is there, and never in part.
func TestBatchOverBrokenConnectionsIsSeenWhole(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		w := b.Watch()
		const rows, bytesPerSecond = 300, 100_000
		c.Limit("a", "b", bytesPerSecond)
		var ops []*nodev1.Op
		for i := range rows {
			ops = append(ops, hosttest.Put(fmt.Sprintf("k%03d", i), fmt.Sprintf("%q", strings.Repeat(fmt.Sprint(i%10), 2000))))
		}
		a.Commit(ops...)
		carried := c.Carried("a", "b")
		whole := func() bool {
			n := len(b.Rows())
			if n != 0 && n != rows {
				t.Fatalf("b has %d rows of a batch of %d", n, rows)
			}
			return n == rows
		}
		for i := range 3 {
			time.Sleep(2 * time.Second) // some 200,000 of 600,000 bytes
			if whole() {
				t.Fatalf("the batch came before connection %d broke", i+1)
			}
			c.Reset("a", "b")
		}
		if sent := c.Carried("a", "b") - carried; sent < 300_000 {
			t.Fatalf("%d bytes were under way, so nothing broke in the middle", sent)
		}
		eventually(t, "the batch arrives", whole)
		synctest.Wait()
		for _, batch := range w.Batches() {
			if n := len(batch.Changes); n > 1 && n != rows {
				t.Errorf("a watcher is shown %d changes of a batch of %d", n, rows)
			}
		}
	})
}

// reference: store-108 who made a syncgroup may join it again, which makes no second member of the device.
//
// reference: sync-148 the members stay one.
func TestCreatorJoinsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Hosts: []string{"a"}})
		a := c.Host("a")
		a.Create()
		if by, err := askAround(t, a, hosttest.Syncgroup); err != nil || by != "a" {
			t.Errorf("joined at %q, %v", by, err)
		}
		wantMembers(t, "a", a)
	})
}
