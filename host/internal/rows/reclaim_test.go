package rows

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// everything is what a reclaimer may take that keeps no history, of what nobody shares.
func (d *device) everything() Limits { return Limits{Before: d.now.Add(time.Hour)} }

// reclaim takes steps until nothing is left to do, and checks the store.
func (d *device) reclaim(limits Limits) (sum Reclaimed) {
	d.t.Helper()
	for {
		got, err := d.db.Reclaim(limits)
		if err != nil {
			d.t.Fatal(err)
		}
		sum.Commits += got.Commits
		sum.Records += got.Records
		sum.Tombstones += got.Tombstones
		sum.Bytes += got.Bytes
		if !got.More {
			break
		}
	}
	d.sound()
	return sum
}

// logSize counts the records of the log.
func (d *device) logSize() (n int) {
	d.t.Helper()
	it, err := d.kv.Iter([]byte{spaceLog}, []byte{spaceLog + 1})
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

// reference: sync-019 without a limit everything goes that other versions of its row follow, and rows that are deleted go
// altogether.
//
// What is left after everything was reclaimed is each row once: a newcomer gets that, and the history of a row ends there.
func TestReclaimLeavesEachRowOnce(t *testing.T) {
	d := newDevice(t, 1).create()
	for i := range 50 {
		d.put("a", fmt.Sprint(i))
		d.put(fmt.Sprint("gone", i), `1`)
		d.del(fmt.Sprint("gone", i))
	}
	d.put("b", `1`)
	limits := d.everything()
	limits.Items = 7
	got := d.reclaim(limits)
	if got.Tombstones != 50 || got.Records != 49+50 || got.Bytes == 0 {
		t.Errorf("reclaimed %+v; want 50 tombstones and 99 records", got)
	}
	if n := d.logSize(); n != 3 {
		t.Errorf("%d records are left in the log, want those of a, b and the collection", n)
	}
	if err := d.db.CreateCollection(id.Collection{Name: id.Name{Owner: owner, Local: "more"}}, perm.For(owner, perm.CollectionTags)); err != nil {
		t.Fatal(err) // it makes what was reclaimed durable
	}
	used := d.db.used
	d.crash()
	if d.db.used != used {
		t.Errorf("%d bytes are used after opening again, %d before", d.db.used, used)
	}
	d.reclaim(d.everything())
	if _, nodes, err := d.db.History(notes, "a"); err != nil || len(nodes) != 1 {
		t.Errorf("history of a: %d versions, %v; want 1", len(nodes), err)
	}
	b := newDevice(t, 2).create()
	if got := b.pull(d); got.Records != 3 {
		t.Errorf("a newcomer gets %d records, want 3", got.Records)
	}
	if diff := cmp.Diff(d.rows(), b.rows()); diff != "" {
		t.Errorf("rows (-old +new):\n%s", diff)
	}
	b.sound()
}

// reference: sync-019 what lies behind a version that may be forgotten goes, just that, and a second time nothing does.
//
// What is younger than it may be, and what is within the limit of bytes, stays.
func TestReclaimKeepsHistory(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("a", `1`)
	d.put("a", `2`)
	old := d.now
	d.now = d.now.Add(time.Hour)
	d.put("a", `3`)
	if got := d.reclaim(Limits{Before: old.Add(time.Minute), MaxBytes: 1 << 20}); got.Records != 1 {
		t.Errorf("reclaimed %+v, want the value 1 alone", got)
	}
	if got := d.reclaim(Limits{MaxBytes: 1 << 20}); got.Records != 0 {
		t.Errorf("reclaimed %+v, which is young and little", got)
	}
	d.put("a", `4`)
	if got := d.reclaim(Limits{MaxBytes: 1}); got.Records != 1 {
		t.Errorf("reclaimed %+v; want the value 2, since there is more than may be", got)
	}
}

// reference: store-090 the log begins behind the slowest watcher and the oldest batch; one that stands before its beginning, or
// asks for more than there is, is told so.
//
// reference: sync-212 the log is trimmed behind who watches, and no further.
func TestReclaimBehindReaders(t *testing.T) {
	d := newDevice(t, 1).create()
	sub, err := d.db.Subscribe(d.db.Published().Seq)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	tx, err := d.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Get(notes, "other"); !errors.Is(err, ErrNoRow) {
		t.Fatal(err)
	}
	for i := range 10 {
		d.put("a", fmt.Sprint(i))
	}
	held := d.everything()
	held.ReaderBytes = 1 << 20
	if got := d.reclaim(held); got.Records != 0 {
		t.Errorf("reclaimed %+v, which a watcher and a batch still need", got)
	}
	for i := range 5 {
		if b, err := sub.Next(t.Context()); err != nil || string(b.Changes[0].Value) != fmt.Sprint(i) {
			t.Fatalf("watched %+v, %v; want %d", b, err, i)
		}
	}
	if err := tx.Write(Op{Collection: notes, Key: "c", Value: []byte(`1`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(nil); err != nil {
		t.Errorf("commit of a batch whose past was held back for it: %v", err)
	}
	if got := d.reclaim(held); got.Records == 0 {
		t.Error("nothing was reclaimed behind the watcher")
	}
	if b, err := sub.Next(t.Context()); err != nil || string(b.Changes[0].Value) != "5" {
		t.Fatalf("watched %+v, %v; want 5", b, err)
	}
	beyond := d.everything()
	beyond.ReaderBytes = 1
	d.reclaim(beyond)
	floor := d.db.Floor()
	if _, err := d.db.Subscribe(floor - 1); !errors.Is(err, ErrMarkerTooOld) {
		t.Errorf("subscribing before the floor: %v", err)
	}
	if _, err := d.db.ReadLog(floor-1, nil, nil); !errors.Is(err, ErrMarkerTooOld) {
		t.Errorf("reading before the floor: %v", err)
	}
	again, err := d.db.Subscribe(floor)
	if err != nil {
		t.Fatalf("subscribing at the floor: %v", err)
	}
	again.Close()
	if _, err := d.db.Subscribe(d.db.Published().Seq + 1); !errors.Is(err, ErrMarker) {
		t.Errorf("subscribing beyond the end: %v", err)
	}
}

// reference: store-090 once the log begins at its last entry it does so until more is written: to reclaim again changes nothing, with
// other limits neither, and it begins there and goes on from there after opening again. A watcher that was overtaken is told so.
func TestReclaimedLogStays(t *testing.T) {
	d := newDevice(t, 1).create()
	d.db.tail.maxBatches = 1 // the rest is read from the log
	overtaken, err := d.db.Subscribe(d.db.Published().Seq)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		d.put("a", fmt.Sprint(i))
	}
	d.reclaim(d.everything())
	end := d.db.Published().Seq
	floor := d.db.Floor()
	if floor != end-1 {
		t.Errorf("the log begins at %d and ends at %d", floor, end)
	}
	if _, err := overtaken.Next(t.Context()); !errors.Is(err, ErrMarkerTooOld) {
		t.Errorf("a watcher that was overtaken: %v", err)
	}
	overtaken.Close()
	for what, limits := range map[string]Limits{"again": d.everything(), "keeping all": {MaxBytes: 1 << 40, ReaderBytes: 1 << 40}} {
		if got := d.reclaim(limits); got != (Reclaimed{}) || d.db.Floor() != floor {
			t.Errorf("reclaiming %s: %+v, and the log begins at %d, not %d", what, got, d.db.Floor(), floor)
		}
	}
	d.crash() // nothing was acknowledged since, so what was reclaimed may be there again
	d.reclaim(d.everything())
	d.put("a", `"durable"`)
	for range 2 {
		end = d.db.Published().Seq
		d.crash()
		if d.db.Floor() != floor || d.db.Published().Seq != end {
			t.Errorf("after opening again the log reaches from %d to %d, and from %d to %d before", d.db.Floor(), d.db.Published().Seq, floor, end)
		}
	}
	d.put("a", `"next"`)
	sub, err := d.db.Subscribe(end)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if b, err := sub.Next(t.Context()); err != nil || b.Seq != end+1 || string(b.Changes[0].Value) != `"next"` {
		t.Errorf("after %d comes %+v, %v", end, b, err)
	}
}

// A batch that began before what was reclaimed cannot tell whether it may commit.
func TestReclaimOvertakesBatch(t *testing.T) {
	d := newDevice(t, 1).create()
	tx, err := d.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Get(notes, "a"); !errors.Is(err, ErrNoRow) {
		t.Fatal(err)
	}
	for range 3 {
		d.put("b", `1`)
	}
	d.reclaim(d.everything())
	if err := tx.Write(Op{Collection: notes, Key: "a", Value: []byte(`1`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(nil); !errors.Is(err, ErrConflict) {
		t.Errorf("commit: %v, want a conflict", err)
	}
}

// A tombstone of a shared collection waits until everybody holds the delete, and holds back nothing else meanwhile.
func TestTombstoneWaits(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("a", `1`)
	before := d.db.Published().Know.At(whole[0])
	d.del("a")
	for i := range 5 {
		d.put("b", fmt.Sprint(i))
	}
	var held id.Vector
	limits := d.everything()
	limits.Stable = func(c id.Collection) (id.Vector, bool) { return held, c == notes }
	held, limits.MaxBytes = before, 1<<20
	if got := d.reclaim(limits); got.Tombstones != 0 || got.Records != 1 {
		t.Errorf("reclaimed %+v; want the value that everybody holds and nothing else", got)
	}
	limits.MaxBytes = 1
	if got := d.reclaim(limits); got.Tombstones != 0 || got.Records == 0 {
		t.Errorf("reclaimed %+v; want old values but no tombstone", got)
	}
	d.crash()
	if got := d.reclaim(limits); got.Tombstones != 0 {
		t.Errorf("reclaimed %+v after opening again", got)
	}
	held = d.db.Published().Know.At(whole[0])
	if got := d.reclaim(limits); got.Tombstones != 1 {
		t.Errorf("reclaimed %+v; want the tombstone that everybody knows of", got)
	}
	d.crash()
	d.want2("b=4")
}

// want2 is want without the watcher, whose log may be gone.
func (d *device) want2(rows ...string) {
	d.t.Helper()
	if diff := cmp.Diff(rows, d.rows()); diff != "" {
		d.t.Errorf("rows of device %d (-want +got):\n%s", d.num, diff)
	}
}

// What is older than it may be stays all the same while something younger lies before it in the log, since the log has one
// beginning: a commit that came late, say, from a device that was away.
func TestReclaimStopsAtTheFirstThatStays(t *testing.T) {
	away, d := newDevice(t, 2).create(), newDevice(t, 1)
	d.now = d.now.Add(time.Hour)
	d.pull(away)
	created := d.db.Published().Seq
	d.put("young", `1`)
	away.put("k", `1`)
	away.put("k", `2`)
	d.pull(away)
	d.put("last", `1`)
	got := d.reclaim(Limits{Before: away.now.Add(time.Minute), MaxBytes: 1 << 20})
	if got.Records > 0 || got.Commits > int(created) {
		t.Errorf("reclaimed %+v, want nothing behind the creation of the collection", got)
	}
	if list := d.log(created); len(list) != 4 {
		t.Errorf("%d commits can be read, want all that followed: %+v", len(list), list)
	}
}
