package rows

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// inRangeOf says by brute force which rows a scan shall visit, in order.
func inRangeOf(rows map[string]string, r ScanRange) (list []string) {
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if key >= r.Start && (r.Limit == "" || key < r.Limit) && strings.HasPrefix(key, r.Prefix) {
			list = append(list, key+"="+rows[key])
		}
	}
	if r.Reverse {
		slices.Reverse(list)
	}
	return list
}

// reference: store-083 a scan in a batch has the rows of the store and those that the batch wrote in one order, without those that
// it deleted: for each way in which four rows can be in the store, and be put, deleted or left alone in the batch.
func TestScanOfABatchIsExact(t *testing.T) {
	d := newDevice(t, 1)
	keys := []string{"a", "b", "ba", "c"}
	ranges := []ScanRange{{}, {Reverse: true}, {Start: "b", Limit: "c"}, {Prefix: "b", Reverse: true}, {Start: "aa"}, {Limit: "b"}}
	for stored := range 1 << len(keys) {
		c := id.Collection{Name: id.Name{Owner: owner, Local: fmt.Sprint("c", stored)}}
		if err := d.db.CreateCollection(c, allTags); err != nil {
			t.Fatal(err)
		}
		before := map[string]string{}
		for i, key := range keys {
			if stored>>i&1 == 1 {
				before[key] = `"stored"`
				if _, err := d.db.Commit([]Op{{Collection: c, Key: key, Value: []byte(before[key])}}, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		for pending := range 3 * 3 * 3 * 3 {
			tx, err := d.db.Begin(false)
			if err != nil {
				t.Fatal(err)
			}
			now := maps.Clone(before)
			what := pending
			for _, key := range keys {
				op := Op{Collection: c, Key: key, Value: []byte(`"pending"`)}
				switch what % 3 {
				case 0:
					op.Key = "" // left alone
				case 1:
					now[key] = string(op.Value)
				case 2:
					op = Op{Kind: OpDelete, Collection: c, Key: key}
					delete(now, key)
				}
				if what /= 3; op.Key != "" {
					if err := tx.Write(op); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, r := range ranges {
				var got []string
				err := tx.Scan(c, r, func(r *RowView) (bool, error) {
					got = append(got, string(r.Key)+"="+string(r.Value))
					return true, nil
				})
				if diff := cmp.Diff(inRangeOf(now, r), got); diff != "" || err != nil {
					t.Fatalf("stored %04b, pending %d, %+v: %v (-want +got):\n%s", stored, pending, r, err, diff)
				}
			}
			if err := tx.Abort(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// reference: store-093 what a batch has written is a map: any puts and deletes, of keys of any length that differ in one bit, in
// their last byte or by being the beginning of each other, are read back one by one and in order; what was read before, and another
// batch, have none of what is written later.
func TestBatchIsAMap(t *testing.T) {
	long := strings.Repeat("k", id.MaxKeyLen-1)
	keys := []string{"a", "b", "c", "aa", "ab", "aé", "aè", "q", "1", long, long + "a", long + "b", long[1:], "m" + long}
	rapid.Check(t, func(rt *rapid.T) {
		d := newDevice(t, 1).create()
		defer d.close()
		now := map[string]string{}
		write := func(commit func(Op) error, i int) {
			key := rapid.SampledFrom(keys).Draw(rt, "key")
			op := put(key, fmt.Sprint(i))
			if now[key] = string(op.Value); rapid.IntRange(0, 2).Draw(rt, "delete") == 0 {
				op = Op{Kind: OpDelete, Collection: notes, Key: key}
				delete(now, key)
			}
			if err := commit(op); err != nil {
				rt.Fatal(err)
			}
		}
		for i := range rapid.IntRange(0, 5).Draw(rt, "before") {
			write(func(op Op) error { _, err := d.db.Commit([]Op{op}, nil); return err }, i)
		}
		before := inRangeOf(now, ScanRange{})
		tx, other := d.begin(), d.begin()
		defer tx.Abort()
		defer other.Abort()
		for i := range rapid.IntRange(1, 30).Draw(rt, "writes") {
			write(func(op Op) error { return tx.Write(op) }, 100+i)
			if got := txRows(t, tx, ScanRange{}); !slices.Equal(got, inRangeOf(now, ScanRange{})) {
				rt.Fatalf("the batch has %.80q, want %.80q", got, inRangeOf(now, ScanRange{}))
			}
			key := rapid.SampledFrom(keys).Draw(rt, "read")
			row, err := tx.Get(notes, key)
			if want, found := now[key]; found != (err == nil) || string(row.Value) != want || err != nil && !errors.Is(err, ErrNoRow) {
				rt.Fatalf("%.20q is %q, %v; want %q", key, row.Value, err, want)
			}
		}
		var scanned []string
		want := inRangeOf(now, ScanRange{})
		err := tx.Scan(notes, ScanRange{}, func(r *RowView) (bool, error) {
			if len(scanned) == 0 { // what is written during a scan is not in it
				for _, key := range keys {
					if err := tx.Write(put(key, `"late"`)); err != nil {
						return false, err
					}
				}
			}
			scanned = append(scanned, string(r.Key)+"="+string(r.Value))
			return true, nil
		})
		if err != nil || !slices.Equal(scanned, want) {
			rt.Fatalf("a scan with writes under way has %.80q, %v; want %.80q", scanned, err, want)
		}
		if got := txRows(t, other, ScanRange{}); !slices.Equal(got, before) {
			rt.Fatalf("another batch has %.80q, want %.80q", got, before)
		}
	})
}

// reference: store-082 what commits wrote is kept for the batches that are open, and for no longer: as much of the log as the oldest
// of them needs to find its conflicts, in whatever order they begin, commit, fail and are aborted.
func TestOpenBatchesKeepWhatTheirChecksNeed(t *testing.T) {
	d := newDevice(t, 1).create()
	limits := d.everything()
	limits.ReaderBytes = 1 << 30
	kept := func(since uint64) {
		t.Helper()
		d.reclaim(limits)
		// The last commit stays for itself.
		if got, want := d.db.Floor(), min(since, d.db.Published().Seq-1); got != want {
			t.Errorf("the log begins at %d, want %d", got, want)
		}
	}
	begin := func() (tx *Tx, since uint64) {
		t.Helper()
		tx = d.begin()
		if _, err := tx.Get(notes, "read"); !errors.Is(err, ErrNoRow) {
			t.Fatal(err)
		}
		since = d.db.Published().Seq
		d.put("a", fmt.Sprint(since))
		return tx, since
	}
	commit := func(tx *Tx, key string) error {
		t.Helper()
		if err := tx.Write(put(key, `1`)); err != nil {
			t.Fatal(err)
		}
		_, err := tx.Commit(nil)
		return err
	}
	d.put("a", `1`)
	kept(d.db.Published().Seq)
	first, since1 := begin()
	second, since2 := begin()
	third, since3 := begin()
	kept(since1)
	if err := second.Abort(); err != nil {
		t.Fatal(err)
	}
	kept(since1)
	if err := commit(first, "b"); err != nil {
		t.Errorf("the first, which nothing hurt: %v", err)
	}
	kept(since3)
	fourth, since4 := begin()
	d.put("read", `1`)
	kept(since3)
	if err := commit(third, "c"); !errors.Is(err, ErrConflict) {
		t.Errorf("the third, whose read was overtaken: %v", err)
	}
	kept(since4)
	if err := commit(fourth, "d"); !errors.Is(err, ErrConflict) {
		t.Errorf("the fourth: %v", err)
	}
	kept(d.db.Published().Seq)
	if since2 <= since1 || since3 <= since2 {
		t.Errorf("they began at %d, %d and %d", since1, since2, since3)
	}
}

// reference: store-010 an access list that is stored has the tags of its level alone, for who is let in as for who is kept out, since
// one with others is refused as a whole; and it is a copy: what is done to the list afterwards changes nothing.
func TestStoredListsAreCopies(t *testing.T) {
	d := newDevice(t, 1).create()
	fresh := func(tags []perm.Tag) perm.List {
		l := perm.For(owner, tags)
		l[perm.Read] = perm.Access{In: []perm.Pattern{"friend", "guest"}, NotIn: []perm.Pattern{"guest"}}
		return l
	}
	made := id.Collection{Name: id.Name{Owner: owner, Local: "made"}}
	batch := id.Collection{Name: id.Name{Owner: owner, Local: "batch"}}
	for name, c := range map[string]struct {
		tags []perm.Tag
		set  func(perm.List) error
		get  func() perm.List
	}{
		"service": {perm.ServiceTags, func(l perm.List) error { _, err := d.s.SetPermissions(l, ""); return err },
			func() perm.List { l, _ := d.s.Permissions(); return l }},
		"new database": {perm.DatabaseTags, func(l perm.List) error { _, err := d.s.Create(id.Name{Owner: owner, Local: "made"}, l); return err },
			func() perm.List {
				db, err := d.s.Database(id.Name{Owner: owner, Local: "made"})
				if err != nil {
					t.Fatal(err)
				}
				l, _ := db.Permissions()
				return l
			}},
		"database": {perm.DatabaseTags, func(l perm.List) error { _, err := d.db.SetPermissions(l, ""); return err },
			func() perm.List { l, _ := d.db.Permissions(); return l }},
		"new collection": {perm.CollectionTags, func(l perm.List) error { return d.db.CreateCollection(made, l) },
			func() perm.List { l, _, _ := d.db.CollectionPermissions(made); return l }},
		"collection": {perm.CollectionTags, func(l perm.List) error {
			_, err := d.db.SetCollectionPermissions(notes, l, id.Version{}, nil)
			return err
		},
			func() perm.List { l, _, _ := d.db.CollectionPermissions(notes); return l }},
		"collection of a batch": {perm.CollectionTags, func(l perm.List) error {
			tx := d.begin()
			err := tx.CreateCollection(batch, l)
			l[perm.Write] = perm.Access{In: []perm.Pattern{perm.Everyone}}
			l[perm.Read].NotIn[0] = "nobody"
			if err == nil {
				_, err = tx.Commit(nil)
			}
			return err
		},
			func() perm.List { l, _, _ := d.db.CollectionPermissions(batch); return l }},
	} {
		t.Run(name, func(t *testing.T) {
			list, want := fresh(c.tags), fresh(c.tags)
			if err := c.set(list); err != nil {
				t.Fatal(err)
			}
			list[perm.Read].In[0], list[perm.Read].NotIn[0] = "stranger", "nobody"
			delete(list, perm.Admin)
			foreign := perm.Tag("Debug")
			if !slices.Contains(c.tags, perm.Resolve) {
				foreign = perm.Resolve
			}
			for _, out := range []perm.Access{{In: []perm.Pattern{"friend"}}, {NotIn: []perm.Pattern{"friend"}}} {
				with := fresh(c.tags)
				with[foreign] = out
				if err := c.set(with); !errors.Is(err, perm.ErrInvalid) {
					t.Errorf("a list with the tag %s: %v", foreign, err)
				}
			}
			if diff := cmp.Diff(want, c.get()); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}
