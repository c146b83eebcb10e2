package rows

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/perm"
)

func put(key, value string) Op { return Op{Collection: notes, Key: key, Value: []byte(value)} }

func (d *device) begin() *Tx {
	d.t.Helper()
	tx, err := d.db.Begin(false)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { tx.Abort() })
	return tx
}

func txRows(t *testing.T, tx *Tx, r ScanRange) []string {
	t.Helper()
	var list []string
	err := tx.Scan(notes, r, func(r *RowView) (bool, error) {
		list = append(list, string(r.Key)+"="+string(r.Value))
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// reference: store-079 what a batch writes and deletes it finds so, by key and in a scan.
//
// reference: store-045 writes of a batch are seen inside it at once and outside only after commit.
func TestBatchSeesItsSnapshotAndItsOwnWrites(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("a", `1`)
	d.put("c", `3`)
	tx := d.begin()
	d.put("a", `9`)
	d.put("d", `4`)
	if err := tx.Write(put("b", `2`), put("e", `5`), Op{Kind: OpDelete, Collection: notes, Key: "c"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a=1", "b=2", "e=5"}, txRows(t, tx, ScanRange{})); diff != "" {
		t.Errorf("inside (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b=2"}, txRows(t, tx, ScanRange{Start: "b", Limit: "d"})); diff != "" {
		t.Errorf("inside, in a range (-want +got):\n%s", diff)
	}
	if row, err := tx.Get(notes, "b"); err != nil || string(row.Value) != "2" {
		t.Errorf("get of an own write: %v, %v", row, err)
	}
	if _, err := tx.Get(notes, "c"); !errors.Is(err, ErrNoRow) {
		t.Errorf("get of an own delete: %v, want ErrNoRow", err)
	}
	d.want("a=9", "c=3", "d=4")
}

// reference: store-078 a batch fails when a row it read, or a range it scanned, was changed by another; others commit.
func TestBatchConflicts(t *testing.T) {
	for name, c := range map[string]struct {
		in       func(tx *Tx) error
		outside  func(d *device)
		conflict bool
	}{
		"read, other row":                {func(tx *Tx) error { _, err := tx.Get(notes, "a"); return err }, func(d *device) { d.put("b", `9`) }, false},
		"read, same row":                 {func(tx *Tx) error { _, err := tx.Get(notes, "a"); return err }, func(d *device) { d.put("a", `9`) }, true},
		"read, deleted":                  {func(tx *Tx) error { _, err := tx.Get(notes, "a"); return err }, func(d *device) { d.del("a") }, true},
		"read of an absent":              {func(tx *Tx) error { tx.Get(notes, "x"); return nil }, func(d *device) { d.put("x", `9`) }, true},
		"scan, phantom":                  {func(tx *Tx) error { return tx.Scan(notes, ScanRange{Prefix: "k"}, keep) }, func(d *device) { d.put("k1", `9`) }, true},
		"scan, outside it":               {func(tx *Tx) error { return tx.Scan(notes, ScanRange{Prefix: "k"}, keep) }, func(d *device) { d.put("l", `9`) }, false},
		"first row, changed":             {scanFirst(ScanRange{}), func(d *device) { d.put("a", `9`) }, true},
		"first row, another before it":   {scanFirst(ScanRange{}), func(d *device) { d.put("0", `9`) }, true},
		"first row, another after it":    {scanFirst(ScanRange{}), func(d *device) { d.put("a0", `9`) }, false},
		"last row, another after it":     {scanFirst(ScanRange{Reverse: true}), func(d *device) { d.put("a0", `9`) }, true},
		"last row, changed":              {scanFirst(ScanRange{Reverse: true}), func(d *device) { d.del("a") }, true},
		"last row, another before it":    {scanFirst(ScanRange{Reverse: true}), func(d *device) { d.put("0", `9`) }, false},
		"first row of none, a first one": {scanFirst(ScanRange{Prefix: "k"}), func(d *device) { d.put("k", `9`) }, true},
		"own write first, stored behind": {func(tx *Tx) error {
			return errors.Join(tx.Write(put("0", `1`)), scanFirst(ScanRange{})(tx))
		}, func(d *device) { d.put("a", `9`) }, false},
		"blind write": {func(tx *Tx) error { return nil }, func(d *device) { d.put("new", `9`) }, false},
		"access list": {func(tx *Tx) error { return nil }, func(d *device) {
			if _, err := d.db.SetCollectionPermissions(notes, perm.For(owner, perm.CollectionTags), d.listVersion(), nil); err != nil {
				d.t.Fatal(err)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t, 1).create()
			d.put("a", `1`)
			tx := d.begin()
			if err := errors.Join(c.in(tx), tx.Write(put("new", `1`))); err != nil {
				t.Fatal(err)
			}
			c.outside(d)
			_, err := tx.Commit(nil)
			if got := errors.Is(err, ErrConflict); got != c.conflict || err != nil && !got {
				t.Errorf("commit: %v, want a conflict: %v", err, c.conflict)
			}
			if _, err := tx.Commit(nil); !errors.Is(err, ErrDone) {
				t.Errorf("second commit: %v, want ErrDone", err)
			}
		})
	}
}

// scanFirst reads the first row of a range.
func scanFirst(r ScanRange) func(*Tx) error {
	return func(tx *Tx) error {
		return tx.Scan(notes, r, func(*RowView) (bool, error) { return false, nil })
	}
}

func keep(*RowView) (bool, error) { return true, nil }

// reference: store-049 a read-only batch refuses writes and has nothing to commit.
func TestReadOnlyBatch(t *testing.T) {
	d := newDevice(t, 1).create()
	tx, err := d.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Abort()
	if err := tx.Write(put("a", `1`)); !errors.Is(err, ErrReadOnly) {
		t.Errorf("write: %v, want ErrReadOnly", err)
	}
	if _, err := tx.Commit(nil); !errors.Is(err, ErrReadOnly) {
		t.Errorf("commit: %v, want ErrReadOnly", err)
	}
}

// reference: store-080 read-modify-write batches of a hundred goroutines, retried on conflict, keep their invariant.
func TestConcurrentBatchesAreSerializable(t *testing.T) {
	d := newDevice(t, 1).create()
	const accounts, workers, moves = 5, 100, 3
	for i := range accounts {
		d.put(fmt.Sprint("acct", i), `100`)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for m := range moves {
				for !d.move(fmt.Sprint("acct", (w+m)%accounts), fmt.Sprint("acct", (w+2*m+1)%accounts)) {
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, r := range d.rows() {
		n, err := strconv.Atoi(r[slices.Index([]byte(r), '=')+1:])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if sum != 100*accounts {
		t.Errorf("the accounts hold %d, want %d", sum, 100*accounts)
	}
}

// move takes one from an account to another and reports whether it committed.
func (d *device) move(from, to string) bool {
	tx, err := d.db.Begin(false)
	if err != nil {
		d.t.Error(err)
		return true
	}
	defer tx.Abort()
	if from == to {
		return true
	}
	var ops []Op
	for key, by := range map[string]int{from: -1, to: 1} {
		row, err := tx.Get(notes, key)
		if err != nil {
			d.t.Error(err)
			return true
		}
		n, _ := strconv.Atoi(string(row.Value))
		ops = append(ops, put(key, strconv.Itoa(n+by)))
	}
	if err := tx.Write(ops...); err != nil {
		d.t.Error(err)
		return true
	}
	_, err = tx.Commit(nil)
	if err != nil && !errors.Is(err, ErrConflict) {
		d.t.Error(err)
		return true
	}
	return err == nil
}
