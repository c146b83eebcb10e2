package rows

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
)

var allTags = perm.For(owner, perm.CollectionTags)

// sweep does what Sweep would come to.
func (d *device) sweep() {
	d.t.Helper()
	if err := d.s.sweepAll(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	if left := d.s.Sweeping(); len(left) > 0 {
		d.t.Fatalf("left to sweep: %v", left)
	}
}

// renewCollection destroys the collection and makes it again, in one batch.
func (d *device) renewCollection() {
	d.t.Helper()
	tx := d.begin()
	err := errors.Join(tx.DestroyCollection(notes), tx.CreateCollection(notes, allTags))
	if err == nil {
		_, err = tx.Commit(nil)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// stored counts the rows that lie in the store, the collection's own left out.
func (d *device) stored() (n int) {
	d.t.Helper()
	prefix := collKey(spaceRow, d.db.num, 1)
	it, err := d.kv.Iter(append(prefix, 0), kv.PrefixEnd(prefix))
	if err != nil {
		d.t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		d.t.Fatal(err)
	}
	return n
}

// reference: store-021 the rows go with their collection, and one made again is empty and takes rows, before and after the
// old ones are swept away.
// Destroying a collection is one record however many rows there are; what they took is removed later,
// also when the daemon is killed in the middle.
func TestDestroyedCollectionIsGoneAtOnceAndSweptLater(t *testing.T) {
	d := newDevice(t, 1).create()
	const n = 2500
	ops := make([]Op, n)
	for i := range ops {
		ops[i] = put(fmt.Sprintf("k%05d", i), `{"x":1}`)
	}
	if _, err := d.db.Commit(ops, nil); err != nil {
		t.Fatal(err)
	}
	before := d.db.Published()
	if err := d.db.DestroyCollection(notes, nil); err != nil {
		t.Fatal(err)
	}
	after := d.db.Published()
	if after.Seq != before.Seq+1 || after.Know.Own().Gen != before.Know.Own().Gen+1 {
		t.Errorf("destroying %d rows took %d commits of %d records", n, after.Seq-before.Seq, after.Know.Own().Gen-before.Know.Own().Gen)
	}
	if _, err := d.db.Get(notes, "k00000"); !errors.Is(err, ErrNoCollection) {
		t.Errorf("get: %v", err)
	}
	if diff := cmp.Diff([]Sweeping{{dbName, notes}}, d.s.Sweeping()); diff != "" {
		t.Errorf("to be swept (-want +got):\n%s", diff)
	}
	if err := d.db.CreateCollection(notes, allTags); err != nil {
		t.Fatal(err)
	}
	d.want()
	d.put("k00001", `"new"`)
	if _, err := d.db.Commit([]Op{{Kind: OpCheck, Collection: notes, Key: "k00002", Expect: &Expect{Absent: true}}, put("k00002", `"new"`)}, nil); err != nil {
		t.Errorf("a row of the former life counts as there: %v", err)
	}
	if _, _, err := d.db.History(notes, "k00003"); !errors.Is(err, ErrNoRow) {
		t.Errorf("history of a row of the former life: %v", err)
	}
	if _, nodes, err := d.db.History(notes, "k00001"); err != nil || len(nodes) != 1 {
		t.Errorf("history of a new row shows %d versions, %v; want its own alone", len(nodes), err)
	}
	d.want(`k00001="new"`, `k00002="new"`)
	d.sound()

	// One step, then the power goes.
	if _, err := d.db.sweepStep(d.db.colls[notes], collKey(spaceRow, d.db.num, 1)); err != nil {
		t.Fatal(err)
	}
	if left := d.stored(); left != n-1000 {
		t.Errorf("%d rows are stored after one step, want %d", left, n-1000)
	}
	d.crash()
	d.sound()
	d.want(`k00001="new"`, `k00002="new"`)
	used := d.db.used
	d.sweep()
	if left := d.stored(); left != 2 {
		t.Errorf("%d rows are stored in the end, want 2", left)
	}
	if now := d.db.used; now >= used {
		t.Errorf("the database uses %d bytes, before the sweep %d", now, used)
	}
	d.want(`k00001="new"`, `k00002="new"`)
	d.crash()
	d.sound()
	d.want(`k00001="new"`, `k00002="new"`)
	if left := d.s.Sweeping(); len(left) > 0 {
		t.Errorf("after a restart there is to be swept %v", left)
	}
}

// A device that learns of the end of a collection loses the rows without a record for each, whenever they arrive, and keeps
// what whoever destroyed it could not know of.
func TestDestroyedCollectionOnOtherDevices(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	a.put("old", `1`)
	b.pull(a)
	b.put("unheard", `2`)
	a.renewCollection()
	a.put("new", `3`)
	if got := b.pull(a); got.Records != 3 {
		t.Errorf("the end of the collection, its new life and one row came as %+v", got)
	}
	b.want("new=3", "unheard=2")
	// c hears of allTags at once, and of the old row only now.
	c.pull(b)
	c.want("new=3", "unheard=2")
	a.pull(b)
	a.want("new=3", "unheard=2")
	for _, d := range []*device{a, b, c} {
		d.sweep()
		d.sound()
		d.want("new=3", "unheard=2")
	}
}

func TestSweepRunsUntilItIsStopped(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("a", `1`)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.s.Sweep(ctx) }()
	if err := d.db.DestroyCollection(notes, nil); err != nil {
		t.Fatal(err)
	}
	for len(d.s.Sweeping()) > 0 {
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Sweep ended with %v", err)
	}
}

func FuzzBurial(f *testing.F) {
	f.Add(burial{reach: id.Vector{{Device: id.Device{1}, Epoch: 1}: 7}, swept: true}.encode())
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decodeBurial(data)
		if err != nil {
			return
		}
		if diff := cmp.Diff(data, b.encode()); diff != "" {
			t.Errorf("decoded and encoded (-was +is):\n%s", diff)
		}
	})
}

// What destroying a collection swept together stays in the log for as long as commits that tell of it do: a watcher may
// still come to them.
func TestSweptRowsStayInTheLogOfCommitsThatStay(t *testing.T) {
	d := newDevice(t, 1).create()
	for i := range 20 {
		d.put(fmt.Sprint("k", i), `1`)
	}
	if err := d.db.DestroyCollection(notes, nil); err != nil {
		t.Fatal(err)
	}
	d.sweep()
	before := d.logSize()
	keep := Limits{Before: d.now.Add(-time.Hour), MaxBytes: 1 << 30, Items: 7}
	if got := d.reclaim(keep); got.Commits != 0 || d.logSize() != before {
		t.Errorf("reclaimed %+v, and the log has %d records instead of %d", got, d.logSize(), before)
	}
	if _, err := d.db.ReadLog(0, nil, func(Batch) (bool, error) { return true, nil }); err != nil {
		t.Errorf("a watcher from the beginning: %v", err)
	}
	if got := d.reclaim(d.everything()); got.Tombstones != 20 {
		t.Errorf("reclaimed %+v, want all 20 rows", got)
	}
}
