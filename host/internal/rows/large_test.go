package rows

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// reference: store-305 ten thousand databases are made, found again after a restart, and destroyed like one; a value and a
// key that are too long are refused with the limit; how large a collection is makes no difference to destroying it.
func TestManyAndLarge(t *testing.T) {
	d := newDevice(t, 1).create()
	const n = 10_000
	name := func(i int) id.Name { return id.Name{Owner: owner, Local: fmt.Sprintf("db%05d", i)} }
	for i := range n {
		if _, err := d.s.Create(name(i), perm.For(owner, perm.DatabaseTags)); err != nil {
			t.Fatal(err)
		}
	}
	d.crash()
	list, _ := d.s.Databases()
	if len(list) != n+1 {
		t.Fatalf("%d databases after a restart, want %d", len(list), n+1)
	}
	last, err := d.s.Database(name(n - 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(last.CreateCollection(notes, allTags), d.s.Destroy(name(0))); err != nil {
		t.Fatal(err)
	}
	if _, err := last.Commit([]Op{put("k", `1`)}, nil); err != nil {
		t.Error(err)
	}
	d.sweep()

	for what, op := range map[string]Op{
		"value of 100 MB": put("k", strings.Repeat("1", 100<<20)),
		"key of 1 MB":     put(strings.Repeat("k", 1<<20), `1`),
	} {
		if _, err := d.db.Commit([]Op{op}, nil); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "the limit is") {
			t.Errorf("%s: %.200v", what, err)
		}
	}
	d.put(strings.Repeat("k", id.MaxKeyLen), strings.Repeat("1", wire.MaxValueLen))

	ops := make([]Op, MaxBatchOps)
	for i := range ops {
		ops[i] = put(fmt.Sprintf("row%07d", i), `1`)
	}
	if _, err := d.db.Commit(ops, nil); err != nil {
		t.Fatal(err)
	}
	before := d.db.Published()
	if err := d.db.DestroyCollection(notes, nil); err != nil {
		t.Fatal(err)
	}
	if after := d.db.Published(); after.Know.Own().Gen != before.Know.Own().Gen+1 {
		t.Errorf("destroying 100,000 rows made %d records", after.Know.Own().Gen-before.Know.Own().Gen)
	}
	if err := d.db.CreateCollection(notes, allTags); err != nil {
		t.Fatal(err)
	}
	d.put("k", `1`)
	if rows := d.rows(); len(rows) != 1 {
		t.Errorf("%d rows in the new collection", len(rows))
	}
}
