package rows

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// run makes asynchronous commits durable until the returned function is called.
func (d *device) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.s.Run(ctx) }()
	for running := false; !running; {
		d.s.unsynced.mu.RLock()
		running = d.s.unsynced.running
		d.s.unsynced.mu.RUnlock()
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			d.t.Error(err)
		}
	})
	d.t.Cleanup(stop)
	return stop
}

// After a power loss at any moment, asynchronous commits are there whole, from the first to some last one, and at least
// those that were published: a peer that was shown a generation never sees it used again.
func TestAsyncCommitsAreLostWholeAndFromTheEnd(t *testing.T) {
	for _, mode := range []string{"async", "mixed"} {
		t.Run(mode, func(t *testing.T) {
			d := newDevice(t, 1).create()
			d.set(func(s *Settings) { s.Durability = Async })
			stop := d.run()
			const commits = 500
			acked := 0
			var lost []*kv.MemFS
			var shown []Published
			var synced []int
			for i := range commits {
				if mode == "mixed" && i%100 == 50 {
					d.set(func(s *Settings) { s.Durability = Sync })
				} else if mode == "mixed" && i%100 == 51 {
					acked = i
					d.set(func(s *Settings) { s.Durability = Async })
				}
				ops := []Op{
					{Collection: notes, Key: fmt.Sprintf("a%03d", i), Value: []byte(`1`)},
					{Collection: notes, Key: fmt.Sprintf("b%03d", i), Value: []byte(`1`)},
				}
				if _, err := d.db.Commit(ops, nil); err != nil {
					t.Fatal(err)
				}
				if i%25 == 0 {
					shown, synced = append(shown, d.db.Published()), append(synced, acked)
					lost = append(lost, d.fs.CrashClone())
				}
			}
			stop()
			if p := d.db.Published(); p.Seq != d.db.seq || p.Know.Own() != d.db.know.Own() {
				t.Errorf("after the end %d of %d commits are published", p.Seq, d.db.seq)
			}
			for i, fs := range lost {
				after := &device{t: t, num: 1, fs: fs}
				after.open()
				checkWholePrefix(t, after, shown[i], synced[i])
				if err := after.kv.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func checkWholePrefix(t *testing.T, d *device, shown Published, synced int) {
	t.Helper()
	db, err := d.s.Database(dbName)
	if err != nil {
		t.Fatal(err)
	}
	if db.seq < shown.Seq || db.know.Own().Gen < shown.Know.Own().Gen {
		t.Errorf("peers were shown commits up to %d, generation %d, of which %d and %d are left",
			shown.Seq, shown.Know.Own().Gen, db.seq, db.know.Own().Gen)
	}
	has := map[string]bool{}
	if err := db.Scan(notes, ScanRange{}, func(r *RowView) (bool, error) { has[string(r.Key)] = true; return true, nil }); err != nil {
		t.Fatal(err)
	}
	n := len(has) / 2
	for i := range n {
		if !has[fmt.Sprintf("a%03d", i)] || !has[fmt.Sprintf("b%03d", i)] {
			t.Errorf("of %d commits that are left, number %d is lost or torn", n, i)
		}
	}
	if n < synced {
		t.Errorf("%d commits are left, of which %d were acknowledged as durable", n, synced)
	}
}

// A version that was given out is never given out again, also if a power loss took what it stood for: who kept it, to write only
// over that, would write over something else.
func TestLostVersionsAreNotGivenOutAgain(t *testing.T) {
	d := newDevice(t, 1).create()
	d.set(func(s *Settings) { s.Durability = Async })
	stop := d.run()
	var given []id.Version
	var lost []*kv.MemFS
	for i := range 40 {
		given = append(given, d.put("k", fmt.Sprint(i)))
		lost = append(lost, d.fs.CrashClone())
	}
	d.set(func(s *Settings) { s.Durability = Sync })
	given, lost = append(given, d.put("k", `"last"`)), append(lost, d.fs.CrashClone())
	stop()
	for i, fs := range lost {
		after := &device{t: t, num: 1, fs: fs}
		after.open()
		db, err := after.s.Database(dbName)
		if err != nil {
			t.Fatal(err)
		}
		after.db = db
		for again := range 2 {
			if v := after.put("k", `"again"`); v.Writer == given[i].Writer && v.Gen <= given[i].Gen {
				t.Errorf("opened %d times after %s was given out, the next one is %s", again+1, given[i], v)
			}
			after.sound()
			after.crash()
		}
		if err := after.kv.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAsyncWithoutRunIsSync(t *testing.T) {
	d := newDevice(t, 1).create()
	d.set(func(s *Settings) { s.Durability = Async })
	d.put("k", `1`)
	if p := d.db.Published(); p.Seq != d.db.seq {
		t.Errorf("published up to %d of %d", p.Seq, d.db.seq)
	}
	d.crash()
	if _, err := d.db.Get(notes, "k"); err != nil {
		t.Error(err)
	}
}

// recount adds up what is used.
func (d *device) recount() uint64 { return d.bytesIn(spaceRow, spaceTomb, spaceLog) }

func (d *device) bytesIn(spaces ...byte) (n uint64) {
	d.t.Helper()
	for _, space := range spaces {
		prefix := dbKey(space, d.db.num)
		it, err := d.kv.Iter(prefix, kv.PrefixEnd(prefix))
		if err != nil {
			d.t.Fatal(err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			n += uint64(len(it.Key()) + len(it.Value()))
		}
		if err := it.Close(); err != nil {
			d.t.Fatal(err)
		}
	}
	return n
}

func TestUsedIsExact(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	for i := range 30 {
		a.put(fmt.Sprint("k", i%7), fmt.Sprint(i*i*i))
		if i%4 == 0 {
			a.del(fmt.Sprint("k", i%3))
		}
	}
	b.pull(a)
	for i := range 10 {
		a.put(fmt.Sprint("k", i), `"a"`)
		b.put(fmt.Sprint("k", i), `"longer"`)
	}
	b.pull(a)
	a.pull(b)
	for _, d := range []*device{a, b} {
		if got, want := d.db.used, d.recount(); got != want {
			t.Errorf("device %d: used %d, want %d", d.num, got, want)
		}
		d.crash()
		if got, want := d.db.used, d.recount(); got != want {
			t.Errorf("device %d after a power loss: used %d, want %d", d.num, got, want)
		}
	}
}

func TestQuota(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("first", `1`)
	used, live := a.db.used, liveBytes(a.db)
	a.set(func(s *Settings) { s.QuotaBytes = live + 20 })
	seq := a.db.seq
	put := []Op{{Collection: notes, Key: "second", Value: []byte(`2`)}}
	if _, err := a.db.Commit(put, nil); !errors.Is(err, ErrQuota) {
		t.Errorf("a put beyond the quota: got %v, want ErrQuota", err)
	}
	if a.db.used != used || a.db.seq != seq || a.recount() != used {
		t.Error("a refused put left something behind")
	}
	a.del("first")
	a.set(func(s *Settings) { s.QuotaBytes = 1 << 20 })
	a.put("second", `2`)

	if err := b.db.Track(whole); err != nil {
		t.Fatal(err)
	}
	b.set(func(s *Settings) { s.QuotaBytes = 1 })
	if got, err := b.tryPull(a); err != nil || len(got.Letters) != 3 || got.Records != 1 {
		t.Errorf("receiving beyond the quota: got %+v, %v, want a delete and three letters", got, err)
	}
	b.set(func(s *Settings) { s.QuotaBytes = 0 })
	b.retry()
	b.want("second=2")
}

// tryPull is pull for what may fail.
func (d *device) tryPull(from *device) (Received, error) {
	d.t.Helper()
	plan := delta.NewPlan(d.db.Writer(), delta.Request(d.db.Published().Know, whole))
	step := Step{Scopes: whole}
	var err error
	step.Progress, err = from.db.Send(context.Background(), plan, func(o Outgoing) error {
		c, err := wire.DecodeCommit(append([]byte(nil), o.Commit...))
		step.Commits = append(step.Commits, c)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return d.db.Receive(step)
}

// reference: store-304 a commit on a full disk is refused with an error that says so; reading goes on, and so does writing
// as soon as there is room.
func TestFullDiskMakesTheStoreReadOnly(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("k", `1`)
	seq := d.db.seq
	d.fs.SetFree(kv.DefaultMinFreeBytes)
	_, err := d.db.Commit([]Op{{Collection: notes, Key: "k", Value: []byte(`2`)}}, nil)
	if !errors.Is(err, ErrReadOnlyStore) || !errors.Is(err, kv.ErrFull) {
		t.Errorf("got %v, want ErrReadOnlyStore", err)
	}
	if err := d.db.SetSchema(Schema{Version: 1, Policy: []byte(`{}`)}); !errors.Is(err, ErrReadOnlyStore) {
		t.Errorf("the schema: got %v, want ErrReadOnlyStore", err)
	}
	if row, err := d.db.Get(notes, "k"); err != nil || string(row.Value) != `1` || d.db.seq != seq {
		t.Errorf("after the refusal: row %s, %v, commit %d of %d", row.Value, err, d.db.seq, seq)
	}
	d.fs.SetFree(2 * kv.DefaultMinFreeBytes)
	d.put("k", `2`)
	d.fs.SetFree(kv.DefaultMinFreeBytes)
	if err := d.s.Destroy(dbName); err != nil {
		t.Errorf("making room: %v", err)
	}
}
