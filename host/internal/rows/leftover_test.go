package rows

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// stuckReferences cannot remove what they keep for a database while stuck is set.
type stuckReferences struct {
	stuck   error
	dropped []uint32
}

func (r *stuckReferences) CheckValue([]byte) error { return nil }

func (r *stuckReferences) IndexRow(*kv.Batch, uint32, uint32, string, []byte, []byte) error {
	return nil
}

func (r *stuckReferences) DropDatabase(_ *kv.Batch, db uint32) error {
	if r.stuck == nil {
		r.dropped = append(r.dropped, db)
	}
	return r.stuck
}

// reference: store-099 a database is destroyed although what others keep of it cannot be removed: its name is free at once, and one
// made anew is empty; what is left over is tried again after each restart and in the end removed, and other databases lose nothing.
func TestLeftoversAreRemovedInTheEnd(t *testing.T) {
	d := newDevice(t, 1).create()
	refs := &stuckReferences{stuck: errors.New("stuck")}
	other, err := d.s.Create(id.Name{Owner: owner, Local: "other"}, allTags)
	if err == nil {
		err = other.CreateCollection(notes, allTags)
	}
	if err != nil {
		t.Fatal(err)
	}
	otherHas := func(want string) {
		t.Helper()
		db, err := d.s.Database(other.Name())
		if err != nil {
			t.Fatal(err)
		}
		if row, err := db.Get(notes, "k"); err != nil || string(row.Value) != want {
			t.Errorf("the other database has %q, %v", row.Value, err)
		}
	}
	if _, err := other.Commit([]Op{put("k", `1`)}, nil); err != nil {
		t.Fatal(err)
	}
	for life := range 3 {
		d.put("k", fmt.Sprint(life))
		d.s.opts.References = refs
		if err := d.s.Destroy(dbName); err != nil {
			t.Fatal(err)
		}
		if err := d.s.sweepAll(t.Context()); !errors.Is(err, refs.stuck) {
			t.Errorf("sweeping: %v", err)
		}
		if d.db, err = d.s.Create(dbName, allTags); err != nil {
			t.Fatalf("the name is not free: %v", err)
		}
		d.create()
		d.want()
		d.crash()
		d.want()
		otherHas(`1`)
		d.s.opts.References = refs
		if err := d.s.sweepAll(t.Context()); !errors.Is(err, refs.stuck) {
			t.Errorf("sweeping after a restart: %v", err)
		}
	}
	d.put("k", `"live"`)
	refs.stuck = nil
	for range 2 { // the second time nothing is left
		if err := d.s.sweepAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]uint32{1, 3, 4}, refs.dropped); diff != "" {
		t.Errorf("removed was what was kept of the databases (-want +got):\n%s", diff)
	}
	d.want(`k="live"`)
	otherHas(`1`)
	d.sound()
}
