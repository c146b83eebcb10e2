package rows

import (
	"fmt"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// The queue of tombstones that wait is gone through in bounded steps, each from where the last one stopped, and all that may go has gone
// when a step finds nothing more: also what stands before the place where the last one stopped.
func TestQueueOfTombstonesIsGoneThrough(t *testing.T) {
	d := newDevice(t, 1).create()
	later := id.Collection{Name: id.Name{Owner: owner, Local: "later"}}
	if err := d.db.CreateCollection(later, perm.For(owner, perm.CollectionTags)); err != nil {
		t.Fatal(err)
	}
	const n = 20
	for _, c := range []id.Collection{notes, later} {
		for i := range 2 * n {
			op := Op{Collection: c, Key: fmt.Sprint("k", i%n), Value: []byte(`1`)}
			if i >= n {
				op = Op{Kind: OpDelete, Collection: c, Key: op.Key}
			}
			if _, err := d.db.Commit([]Op{op}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := id.Vector{d.db.Writer(): d.db.Published().Know.Own().Gen}
	d.put("last", `1`) // the last commit stays
	held := map[id.Collection]id.Vector{}
	limits := d.everything()
	limits.Stable, limits.Items = func(c id.Collection) (id.Vector, bool) { return held[c], true }, 7
	if got := d.reclaim(limits); got.Tombstones != 0 {
		t.Fatalf("%d tombstones went that somebody may not know of", got.Tombstones)
	}
	for _, c := range []id.Collection{later, notes} {
		held[c] = all
		if got := d.reclaim(limits); got.Tombstones != n {
			t.Errorf("%d tombstones of %s went, want %d", got.Tombstones, c, n)
		}
	}
}
