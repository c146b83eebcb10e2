package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// waiting counts what was received from a stream and has no credit yet.
type waiting struct {
	Stream
	now  atomic.Int64
	most *atomic.Int64
}

func (w *waiting) Recv() (delta.Message, error) {
	m, err := w.Stream.Recv()
	for _, c := range m.Commits {
		w.most.Store(max(w.most.Load(), w.now.Add(int64(len(c)))))
	}
	return m, err
}

func (w *waiting) Credit(n uint64) error {
	w.now.Add(-int64(n))
	return w.Stream.Credit(n)
}

// open makes the device that of a disk, also anew after a crash. Its store is to be closed.
func (d *device) open(fs *kv.MemFS) *kv.Store {
	d.t.Helper()
	store, err := kv.Open("mem", kv.Options{FS: fs})
	if err != nil {
		d.t.Fatal(err)
	}
	failed := d.engine.events.Failed
	d.store, err = rows.Open(store, rows.Options{
		Now: time.Now, NewDevice: func() id.Device { return id.Device{7: d.name[0]} },
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.engine = New(d.store, Events{Failed: failed})
	if d.db, err = d.store.Database(dbName); err != nil {
		d.t.Fatal(err)
	}
	return store
}

// reference: sync-209 a million records come over a connection that is cut again and again, to a device that crashes: what was
// durable is not sent again, and what waits in memory is bounded by the budget, not by what is lacking.
func TestMillionRecordsOverCutsAndCrashes(t *testing.T) {
	const perCommit, crashes, budget = 1000, 3, 1 << 20
	records, perCut, perCrash := 1_000_000, int64(35), int64(50)
	if testing.Short() { // the race detector takes ten times as long
		records, perCut, perCrash = 60_000, 3, 4
	}
	synctest.Test(t, func(t *testing.T) {
		a, b := newDevice(t, "a"), newDevice(t, "b")
		fs := kv.NewMemFS()
		disk, err := kv.Open("mem", kv.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		if b.store, err = rows.Open(disk, rows.Options{Now: time.Now, NewDevice: func() id.Device { return id.Device{7: 'b'} }}); err != nil {
			t.Fatal(err)
		}
		if b.db, err = b.store.Create(dbName, perm.For(owner, perm.DatabaseTags)); err != nil {
			t.Fatal(err)
		}
		a.share("notes")
		b.join("notes", a)
		if err := disk.Close(); err != nil {
			t.Fatal(err)
		}
		ops := make([]rows.Op, perCommit)
		for i := range records / perCommit {
			for j := range ops {
				ops[j] = rows.Op{Collection: notes.Collection, Key: fmt.Sprintf("%04d/%03d", i, j), Value: []byte(`1`)}
			}
			if _, err := a.db.Commit(ops, nil); err != nil {
				t.Fatal(err)
			}
		}
		var sent, taken, twice, most, messages atomic.Int64
		errCut := errors.New("cut")
		// A crash has what a power loss leaves in the middle of the work; over is closed when b is on again.
		type crash struct {
			left *kv.MemFS
			over chan struct{}
		}
		crashed := make(chan crash)
		opener := a.from(b, func(m delta.Message) (delta.Message, error) {
			if len(m.Commits) == 0 {
				return m, nil // every pull begins with some of those
			}
			n := messages.Add(1)
			if n%perCrash == 0 && n <= crashes*perCrash {
				c := crash{fs.CrashClone(), make(chan struct{})}
				crashed <- c
				<-c.over
			}
			if n%perCut == 0 {
				return m, errCut
			}
			for _, c := range m.Commits {
				sent.Add(int64(len(c)))
			}
			return m, nil
		})
		for i := range crashes + 1 {
			disk := b.open(fs)
			b.engine.budget = newBudget(budget)
			b.engine.events.Received = func(_ *rows.DB, _ Peer, got rows.Received) {
				taken.Add(int64(got.Records))
				twice.Add(int64(got.Duplicates))
			}
			stop := b.follow(a, func(ctx context.Context, open delta.Open) (Stream, error) {
				s, err := opener(ctx, open)
				return &waiting{Stream: s, most: &most}, err
			})
			after := crash{fs, make(chan struct{})}
			if i < crashes {
				after = <-crashed
			} else {
				time.Sleep(time.Hour)
			}
			stop()
			if err := disk.Close(); err != nil {
				t.Fatal(err)
			}
			fs = after.left
			close(after.over)
		}
		defer b.open(fs).Close()
		if cuts := len(b.failed()); cuts < 5 {
			t.Errorf("%d cuts, too few to test anything", cuts)
		}
		n := 0
		if err := b.db.Scan(notes.Collection, rows.ScanRange{}, func(*rows.RowView) (bool, error) { n++; return true, nil }); err != nil || n != records {
			t.Errorf("b has %d rows, %v; want %d", n, err, records)
		}
		if twice.Load() > 0 {
			t.Errorf("%d records came that were held", twice.Load())
		}
		// A record takes fifteen bytes and more.
		if again := taken.Load() - int64(records); again > crashes*(budget+2*sendBytes)/15 {
			t.Errorf("%d records were taken more than once, over %d crashes", again, crashes)
		}
		// What has been applied counts until the peer is told.
		if most.Load() > budget+creditBytes+2*sendBytes {
			t.Errorf("%d bytes waited in memory, the budget is %d", most.Load(), budget)
		}
		t.Logf("%d bytes sent in %d messages over %d cuts and %d crashes, %d records taken, at most %d bytes waited",
			sent.Load(), messages.Load(), len(b.failed()), crashes, taken.Load(), most.Load())
	})
}
