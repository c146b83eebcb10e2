package rows

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/hlc"
)

// reference: store-077 ten thousand random puts and deletes of fifty keys leave what a map has, and a hundred snapshots that were
// taken in between still show what it had then.
func TestRandomWritesAndSnapshots(t *testing.T) {
	d := newDevice(t, 1).create()
	random := rand.New(rand.NewPCG(1, 2))
	now := map[string]string{}
	type past struct {
		tx   *Tx
		rows map[string]string
	}
	var snapshots []past
	for i := range 10_000 {
		key, op := fmt.Sprint(random.IntN(50)), Op{}
		if now[key] = fmt.Sprint(i); random.IntN(3) == 0 {
			op = Op{Kind: OpDelete, Collection: notes, Key: key}
			delete(now, key)
		} else {
			op = put(key, now[key])
		}
		if _, err := d.db.Commit([]Op{op}, nil); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			tx, err := d.db.Begin(true)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Abort()
			snapshots = append(snapshots, past{tx, maps.Clone(now)})
		}
	}
	last, err := d.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	defer last.Abort()
	for i, s := range append(snapshots, past{last, now}) {
		got := map[string]string{}
		err := s.tx.Scan(notes, ScanRange{}, func(r *RowView) (bool, error) { got[string(r.Key)] = string(r.Value); return true, nil })
		if diff := cmp.Diff(s.rows, got); diff != "" || err != nil {
			t.Fatalf("snapshot %d: %v (-map +snapshot):\n%s", i, err, diff)
		}
	}
}

// reference: store-084 what a batch writes has one time, later than that of the batch before, and is one entry of the log, after
// which the log is one longer; what a batch read is no part of it.
//
// reference: store-085 the entries of the log are the operations in order, with the versions that they were given.
//
// reference: store-088 the log is read in whole batches, and says nothing at its end.
func TestLogTellsTheBatches(t *testing.T) {
	d := newDevice(t, 1).create()
	start := d.db.Published().Seq
	var want []string
	for i := range 5 {
		ops := []Op{put("a", fmt.Sprint(i)), put("b", fmt.Sprint(i)), {Kind: OpDelete, Collection: notes, Key: fmt.Sprint("c", i-1)}, put(fmt.Sprint("c", i), `1`)}
		before := d.db.Published().Seq
		tx := d.begin()
		for _, key := range []string{"a", "b"} {
			if _, err := tx.Get(notes, key); i > 0 && err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Write(ops...); err != nil {
			t.Fatal(err)
		}
		versions, err := tx.Commit(nil)
		if err != nil {
			t.Fatal(err)
		}
		if after := d.db.Published().Seq; after != before+1 {
			t.Errorf("batch %d moved the log from %d to %d", i, before, after)
		}
		for k, op := range ops {
			if !versions[k].IsZero() {
				want = append(want, fmt.Sprintf("%d %v %s %s %v", i, versions[k], op.Key, op.Value, op.Kind == OpDelete))
			}
		}
	}
	var got []string
	var last hlc.Time
	for i, b := range d.log(start) {
		if b.Changes[0].Time <= last {
			t.Errorf("batch %d has the time %d, and the one before %d", i, b.Changes[0].Time, last)
		}
		last = b.Changes[0].Time
		for _, ch := range b.Changes {
			got = append(got, fmt.Sprintf("%d %v %s %s %v", i, ch.Version, ch.Key, ch.Value, ch.Deleted))
			if ch.Time != b.Changes[0].Time {
				t.Errorf("batch %d has the times %d and %d", i, b.Changes[0].Time, ch.Time)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-written +read):\n%s", diff)
	}
	if more := d.log(d.db.Published().Seq); len(more) > 0 {
		t.Errorf("at its end the log says %+v", more)
	}
}

// reference: store-086 the log goes on where it ended, after any number of entries, also where the older ones were removed.
//
// reference: store-087 it begins at zero at first, and where it was cut it begins also after opening again.
func TestLogGoesOnAfterOpening(t *testing.T) {
	d := newDevice(t, 1).create()
	if floor := d.db.Floor(); floor != 0 {
		t.Errorf("a new log begins at %d", floor)
	}
	for i := range 21 {
		if i == 11 {
			d.reclaim(d.everything())
			if d.db.Floor() == 0 {
				t.Error("nothing was removed")
			}
			d.put("durable", `1`)
		}
		end, floor := d.db.Published().Seq, d.db.Floor()
		d.crash()
		if got := d.db.Published().Seq; got != end || d.db.Floor() != floor {
			t.Fatalf("after %d entries the log reached from %d to %d, and after opening again from %d to %d", i, floor, end, d.db.Floor(), got)
		}
		d.put("a", fmt.Sprint(i))
		if got := d.db.Published().Seq; got <= end {
			t.Fatalf("the log went from %d to %d", end, got)
		}
	}
}

// reference: store-089 who does not read holds up no writer; leaving twice is harmless, and so is asking for more after it; who
// stays learns why it ends, as often as it asks, also after it has left.
func TestIdleSubscriber(t *testing.T) {
	d := newDevice(t, 1).create()
	d.db.tail.maxBatches = 4
	idle, err := d.db.Subscribe(d.db.Published().Seq)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := d.db.Subscribe(d.db.Published().Seq)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		d.put("a", fmt.Sprint(i))
	}
	gone.Close()
	gone.Close()
	if b, err := gone.Next(t.Context()); err != nil || string(b.Changes[0].Value) != "0" {
		t.Errorf("who has left and asks all the same: %+v, %v", b, err)
	}
	for i := range 100 {
		if b, err := idle.Next(t.Context()); err != nil || string(b.Changes[0].Value) != fmt.Sprint(i) {
			t.Fatalf("change %d: %+v, %v", i, b, err)
		}
	}
	if err := d.s.Destroy(dbName); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := idle.Next(t.Context()); !errors.Is(err, ErrDestroyed) {
			t.Errorf("after the end: %v, want ErrDestroyed", err)
		}
		idle.Close()
	}
}
