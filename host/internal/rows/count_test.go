package rows

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

// unknown reports whether what is in force has not been counted since the start.
func (d *device) unknown() bool {
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	return !d.db.standing.known
}

// Rows are counted beside commits: whatever is written, deleted, destroyed, swept and reclaimed meanwhile is added to what was there
// when the count began.
func TestCountBesideCommits(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	fill := func(d *device, prefix string) {
		for i := range 20 {
			d.put(prefix+strconv.Itoa(i), strconv.Quote(strings.Repeat("x", 10*i)))
		}
	}
	fill(a, "k")
	b.pull(a)
	fill(b, "b")
	a.crash()
	snap, round, err := a.db.beginCount()
	if err != nil || snap == nil {
		t.Fatal("nothing is counted after a start: ", err)
	}
	fill(a, "new")
	fill(a, "k")
	for i := range 10 {
		a.del("k" + strconv.Itoa(i))
	}
	a.pull(b)
	a.reclaim(Limits{Before: time.Unix(1<<40, 0)})
	a.renewCollection()
	a.sweep()
	if !a.unknown() {
		t.Fatal("it is known before it was counted")
	}
	bytes, err := countRows(t.Context(), snap, a.db.num)
	if err = errors.Join(err, snap.Close()); err != nil {
		t.Fatal(err)
	}
	if known, err := a.db.endCount(round, bytes); !known || err != nil {
		t.Fatalf("counted: %t, %v", known, err)
	}
	a.parted("counted beside commits")
}

// A count that began before the device took another name is of no use: rows then take other room, and another count begins.
func TestCountBeginsAnew(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("k", "1")
	d.crash()
	snap, round, err := d.db.beginCount()
	if err != nil {
		t.Fatal(err)
	}
	d.db.mu.Lock()
	d.db.standing.reset()
	d.db.mu.Unlock()
	if known, err := d.db.endCount(round, 1); known || err != nil {
		t.Errorf("known: %t, %v", known, err)
	}
	if err := snap.Close(); err != nil {
		t.Fatal(err)
	}
	d.parted("counted again")
}

// Who is far from the quota waits for no count, and who only deletes neither; who may come to it is held against what is exact.
func TestFirstCommitAfterStart(t *testing.T) {
	d := newDevice(t, 1).create()
	big := strconv.Quote(strings.Repeat("x", 5000))
	for range 20 {
		d.put("k", big)
	}
	d.put("l", big)
	live := liveBytes(d.db)
	quota := live + 5000
	d.set(func(s *Settings) { s.QuotaBytes = 1 << 30 })
	d.crash()
	d.put("far", "1")
	if !d.unknown() {
		t.Error("rows were counted far from the quota")
	}
	d.set(func(s *Settings) { s.QuotaBytes = quota })
	d.crash()
	d.del("far")
	if !d.unknown() {
		t.Error("rows were counted for a delete")
	}
	d.put("k", big)
	if d.unknown() {
		t.Error("rows were not counted although history is beyond the quota")
	}
	d.parted("counted for a put")
	if _, err := d.db.Commit([]Op{{Collection: notes, Key: "m", Value: []byte(big)}}, nil); !errors.Is(err, ErrQuota) {
		t.Errorf("a row too many: %v", err)
	}
	d.crash()
	if _, err := d.db.Commit([]Op{{Collection: notes, Key: "m", Value: []byte(big)}}, nil); !errors.Is(err, ErrQuota) {
		t.Errorf("a row too many as the first commit: %v", err)
	}
}

// While the store runs, what has a quota is counted by itself; the end of the store ends that.
func TestRunCounts(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("k", "1")
	d.set(func(s *Settings) { s.QuotaBytes = 1 << 30 })
	d.crash()
	d.s.countAll(t.Context())
	if d.unknown() {
		t.Error("what has a quota was not counted")
	}
	d.crash()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	d.s.countAll(ended)
	if err := d.s.Run(ended); err != nil {
		t.Error(err)
	}
	if !d.unknown() {
		t.Error("it was counted after the end")
	}
}
