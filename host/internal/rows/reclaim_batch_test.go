package rows

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
)

// ofBatch returns the keys of the records that the log still has of a batch.
func (d *device) ofBatch(first id.Version, count uint64) (keys []string) {
	d.t.Helper()
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	for _, coll := range d.db.colls {
		for gen := first.Gen; gen < first.Gen+count; gen++ {
			rec, h, err := d.db.logRecord(coll.num, id.Version{Writer: first.Writer, Gen: gen})
			switch {
			case err == nil && gen-h.index == first.Gen && h.count == count:
				keys = append(keys, rec.Key)
			case err == nil:
				d.t.Errorf("%s is number %d of %d of its batch, want %d of %d", rec.Key, h.index, h.count, gen-first.Gen, count)
			}
		}
	}
	return keys
}

// reference: sync-026 of a batch whose rows were all written again nothing is left when that is reclaimed; of one with a row that
// still stands just that is left, and says of which batch it is; when it goes later, so does the rest of the batch.
func TestReclaimLeavesOfABatchWhatStands(t *testing.T) {
	d := newDevice(t, 1).create()
	batch := func(keys ...string) id.Version {
		var ops []Op
		for _, key := range keys {
			ops = append(ops, Op{Collection: notes, Key: key, Value: []byte(`1`)})
		}
		v, err := d.db.Commit(ops, nil)
		if err != nil {
			t.Fatal(err)
		}
		return v[0]
	}
	gone, partly, whole := batch("a", "b"), batch("c", "d", "e"), batch("f", "g")
	for _, key := range []string{"a", "c", "e"} {
		d.put(key, `2`)
	}
	d.del("b")
	d.put("last", `0`) // the last commit always stays
	want := func(what string, first id.Version, count uint64, keys ...string) {
		t.Helper()
		if diff := cmp.Diff(keys, d.ofBatch(first, count)); diff != "" {
			t.Errorf("%s: left of the batch is (-want +got):\n%s", what, diff)
		}
	}
	want("before", gone, 2, "a", "b")
	d.reclaim(d.everything())
	d.put("last", `0`) // it makes what was reclaimed durable
	d.crash()
	want("all written again", gone, 2)
	want("one stands", partly, 3, "d")
	want("all stand", whole, 2, "f", "g")
	if _, nodes, err := d.db.History(notes, "d"); err != nil || len(nodes) != 1 || nodes[0].Batch != partly {
		t.Errorf("history of d: %+v, %v; want one version of the batch %s", nodes, err, partly)
	}
	b := newDevice(t, 2)
	b.pull(d)
	if diff := cmp.Diff(d.rows(), b.rows()); diff != "" {
		t.Errorf("rows of a newcomer (-want +got):\n%s", diff)
	}
	d.put("d", `2`)
	d.put("last", `1`)
	d.reclaim(d.everything())
	want("the last of it was written again", partly, 3)
	if _, err := d.db.GiveUp(partly, nil); !errors.Is(err, ErrNotWhole) {
		t.Errorf("the batch is still known: %v", err)
	}
	b.pull(d)
	if diff := cmp.Diff(d.rows(), b.rows()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	b.sound()
}
