package rows

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
)

// fetchScope pulls a scope and returns the keys that came, in order.
func (d *device) fetchScope(from *device, s id.Scope) (keys []string) {
	d.t.Helper()
	step := d.requestScopes(from, []id.Scope{s})
	if _, err := d.db.Receive(step); err != nil {
		d.t.Fatal(err)
	}
	for _, c := range step.Commits {
		for _, e := range c.Records {
			keys = append(keys, e.Collection.Name.Local+"/"+e.Record.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// reference: sync-029 of a shared prefix, keys that are equal to it or longer are synced; shorter ones, others, the same ones in
// another collection or another database, are not.
func TestPrefixDecidesWhatIsSynced(t *testing.T) {
	other := id.Collection{Name: id.Name{Owner: owner, Local: "other"}}
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	if err := a.db.CreateCollection(other, allTags); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"f", "fo", "foo", "foobar", "foo/bar", "fooo", "fop", "fonz", "Foo", "bar", "barfoo", " foo", "g"} {
		a.put(key, `1`)
	}
	if _, err := a.db.Commit([]Op{{Collection: other, Key: "foobar", Value: []byte(`1`)}}, nil); err != nil {
		t.Fatal(err)
	}
	elsewhere, err := a.s.Create(id.Name{Owner: owner, Local: "elsewhere"}, allTags)
	if err == nil {
		err = elsewhere.CreateCollection(notes, allTags)
	}
	if err == nil {
		_, err = elsewhere.Commit([]Op{put("foo-elsewhere", `1`)}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The collection's own record, with the key "", comes along: without it there would be no collection.
	want := []string{"notes/", "notes/foo", "notes/foo/bar", "notes/foobar", "notes/fooo"}
	got := b.fetchScope(a, id.Scope{Collection: notes, Prefix: "foo"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("synced (-want +got):\n%s", diff)
	}
}

// reference: sync-030 a commit that changes nothing is no commit; writes outside of what is shared bring the other side nothing but
// the knowledge that there is nothing.
func TestWritesOutsideAdvanceKnowledgeAlone(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	inner := id.Scope{Collection: notes, Prefix: "f"}
	b.fetchScope(a, inner)
	before := a.db.Published()
	a.del("never")
	if after := a.db.Published(); after.Seq != before.Seq || after.Know.Own() != before.Know.Own() {
		t.Errorf("a commit that changes nothing moved from %d to %d", before.Seq, after.Seq)
	}
	a.put("x", `1`)
	a.put("x", `2`)
	log := b.logSize()
	if keys := b.fetchScope(a, inner); keys != nil || b.logSize() != log {
		t.Errorf("%q came", keys)
	}
	if known, want := b.db.Published().Know.At(inner)[a.db.Writer()], a.db.Published().Know.Own().Gen; known != want {
		t.Errorf("known up to %d, want %d", known, want)
	}
}

// reference: sync-032 of a batch that puts one shared key, deletes another and puts one that is not shared, the two come, the delete
// as a delete on top of what was there, and the third does not.
//
// reference: sync-034 what comes is one batch, which knows that it has three parts of which two are here.
func TestSharedPartOfABatchIsABatch(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	inner := id.Scope{Collection: notes, Prefix: "foo"}
	a.put("foo", `1`)
	before := a.put("fooxyz", `1`)
	b.fetchScope(a, inner)
	marker := b.db.Published().Seq
	versions, err := a.db.Commit([]Op{put("foo", `2`), {Kind: OpDelete, Collection: notes, Key: "fooxyz"}, put("bar", `2`)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"notes/foo", "notes/fooxyz"}, b.fetchScope(a, inner)); diff != "" {
		t.Errorf("came (-want +got):\n%s", diff)
	}
	b.want("foo=2")
	if _, nodes, err := b.db.History(notes, "fooxyz"); err != nil || len(nodes) != 2 || !nodes[0].Deleted || !slices.Equal(nodes[0].Parents, []id.Version{before}) {
		t.Errorf("history of what was deleted: %+v, %v", nodes, err)
	}
	if _, _, err := b.db.History(notes, "bar"); !errors.Is(err, ErrNoRow) {
		t.Errorf("history of what is not shared: %v", err)
	}
	var batches [][]string
	if _, err := b.db.ReadLog(marker, nil, func(batch Batch) (bool, error) {
		var keys []string
		for _, c := range batch.Changes {
			keys = append(keys, c.Key)
		}
		batches = append(batches, keys)
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"foo", "fooxyz"}}, batches); diff != "" {
		t.Errorf("batches that a watcher sees (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"foo", "fooxyz"}, b.ofBatch(versions[0], 3)); diff != "" {
		t.Errorf("of the batch of three are here (-want +got):\n%s", diff)
	}
}

// reference: sync-025 two batches that are made side by side keep their rows apart: each row names the batch that it was committed
// with, and its size; nothing can be added to a batch that has ended, nor can it be ended again.
func TestBatchesSideBySide(t *testing.T) {
	d := newDevice(t, 1).create()
	one, err := d.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	two, err := d.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []struct {
		to  *Tx
		key string
	}{{one, "1a"}, {two, "2a"}, {one, "1b"}, {two, "2b"}, {one, "1c"}} {
		if err := w.to.Write(put(w.key, `1`)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tx := range []*Tx{two, one} {
		if _, err := tx.Commit(nil); err != nil {
			t.Fatal(err)
		}
		if err := tx.Write(put("late", `1`)); !errors.Is(err, ErrDone) {
			t.Errorf("a write into a batch that has ended: %v", err)
		}
		if _, err := tx.Commit(nil); !errors.Is(err, ErrDone) {
			t.Errorf("ending a batch again: %v", err)
		}
	}
	d.crash()
	batchOf := func(key string) id.Version {
		_, nodes, err := d.db.History(notes, key)
		if err != nil || len(nodes) != 1 {
			t.Fatalf("%s: %+v, %v", key, nodes, err)
		}
		return nodes[0].Batch
	}
	if diff := cmp.Diff([]string{"1a", "1b", "1c"}, d.ofBatch(batchOf("1a"), 3)); diff != "" {
		t.Errorf("the first batch (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"2a", "2b"}, d.ofBatch(batchOf("2b"), 2)); diff != "" {
		t.Errorf("the second batch (-want +got):\n%s", diff)
	}
	if alone := d.put("alone", `1`); batchOf("alone") != alone {
		t.Errorf("a row of its own is of the batch %s", batchOf("alone"))
	}
}
