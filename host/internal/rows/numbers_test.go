package rows

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
)

// reference: store-011 databases whose names read alike, put together or with another mark between their parts, are each found under
// their own name, in order, also after a restart.
func TestDatabasesOfLikeNamesAreApart(t *testing.T) {
	d := newDevice(t, 1)
	var names []id.Name
	for _, owner := range []id.Principal{"d", "d/a", "d/a/b", "d/ab"} {
		for _, local := range []string{"a", "a/b", "b", "a,b", "a:b", "/a", ":a", ",a", "a\U0010ffff", "%2F"} {
			names = append(names, id.Name{Owner: owner, Local: local})
		}
	}
	for i, n := range names {
		db, err := d.s.Create(n, allTags)
		if err == nil {
			err = db.SetLocal(n, fmt.Append(nil, i))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	d.crash()
	for i, n := range names {
		db, err := d.s.Database(n)
		if err != nil {
			t.Fatal(err)
		}
		for j, other := range names {
			if got, err := db.Local(other); (i == j) != (err == nil) || i == j && string(got) != fmt.Sprint(i) {
				t.Errorf("%s has under %s: %q, %v", n, other, got, err)
			}
		}
	}
	var listed []id.Name
	dbs, _ := d.s.Databases()
	for _, db := range dbs {
		listed = append(listed, db.Name())
	}
	names = append(names, dbName)
	slices.SortFunc(names, id.Name.Compare)
	if diff := cmp.Diff(names, listed); diff != "" {
		t.Errorf("databases (-made +listed):\n%s", diff)
	}
}

// reference: store-014 a scan of a collection has its rows and none of another one, whatever number the store gave them, and when one
// is destroyed and swept away its neighbours stay.
func TestCollectionsOfAnyNumberAreApart(t *testing.T) {
	d := newDevice(t, 1)
	keys := []string{" ", "a", "a\u0100", "~", "\U0010ffff"}
	collection := func(i int) id.Collection {
		return id.Collection{Name: id.Name{Owner: owner, Local: fmt.Sprint("c", i)}}
	}
	const all = 0x103
	for i := range all {
		if err := d.db.CreateCollection(collection(i), allTags); err != nil {
			t.Fatal(err)
		}
		var ops []Op
		for _, key := range keys {
			ops = append(ops, Op{Collection: collection(i), Key: key, Value: fmt.Append(nil, i)})
		}
		if _, err := d.db.Commit(ops, nil); err != nil {
			t.Fatal(err)
		}
	}
	scanned := func(i int, r ScanRange) (list []string) {
		err := d.db.Scan(collection(i), r, func(r *RowView) (bool, error) {
			list = append(list, string(r.Key)+"="+string(r.Value))
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	apart := func(gone ...int) {
		t.Helper()
		for i := range all {
			var want []string
			for _, key := range keys {
				want = append(want, key+"="+fmt.Sprint(i))
			}
			if slices.Contains(gone, i) {
				want = nil
			}
			for _, r := range []ScanRange{{}, {Reverse: true}, {Start: keys[0]}} {
				got := scanned(i, r)
				if r.Reverse {
					slices.Reverse(got)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%+v of collection %d (-want +got):\n%s", r, i, diff)
				}
			}
		}
	}
	apart()
	// The numbers begin with 1: these are the last before a byte is full, and the one after.
	gone := []int{0xfd, 0xfe, 0xff}
	for _, i := range gone {
		tx := d.begin()
		if err := tx.DestroyCollection(collection(i)); err != nil {
			t.Fatal(err)
		}
		if err := tx.CreateCollection(collection(i), allTags); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Commit(nil); err != nil {
			t.Fatal(err)
		}
	}
	apart(gone...)
	d.sweep()
	apart(gone...)
	d.sound()
}
