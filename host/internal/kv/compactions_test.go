package kv

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// backlog stands for Pebble: it has so many compactions that wait, and says how many may run.
type backlog struct {
	scheduler *compactions
	// allowed is how many may run, and asked how often the scheduler wanted to know.
	allowed, asked atomic.Int64
	// mu is held, as by Pebble, while the scheduler is asked. It guards the fields below it.
	mu sync.Mutex
	// wait counts compactions that were turned away, or would have come after one that was.
	wait  int
	begun []pebble.CompactionGrantHandle
}

func newBacklog(allowed int64) *backlog {
	b := &backlog{scheduler: newCompactions()}
	b.allowed.Store(allowed)
	b.scheduler.Register(1, b)
	return b
}

func (b *backlog) GetAllowedWithoutPermission() int {
	b.asked.Add(1)
	return int(b.allowed.Load())
}

func (b *backlog) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wait > 0, pebble.WaitingCompaction{}
}

func (b *backlog) Schedule(h pebble.CompactionGrantHandle) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wait == 0 {
		return false
	}
	b.wait--
	b.begun = append(b.begun, h)
	return true
}

// need is how Pebble asks for compactions: one after the other until one is turned away.
func (b *backlog) need(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.wait == 0 && n > 0 {
		ok, h := b.scheduler.TrySchedule()
		if !ok {
			break
		}
		b.begun, n = append(b.begun, h), n-1
	}
	b.wait += n
}

// end ends the compaction that began first.
func (b *backlog) end() {
	b.mu.Lock()
	h := b.begun[0]
	b.begun = b.begun[1:]
	b.mu.Unlock()
	h.Done()
}

// expect fails unless so many run and so many wait, now that everything has come to rest.
func (b *backlog) expect(t *testing.T, running, waiting int) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.begun) != running || b.wait != waiting {
		t.Fatalf("%d compactions run and %d wait, want %d and %d", len(b.begun), b.wait, running, waiting)
	}
}

// As many compactions run together as Pebble allows, and one that waits begins as soon as another ends.
func TestCompactionsFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(2)
		defer b.scheduler.Unregister()
		b.need(5)
		for _, want := range []struct{ running, waiting int }{{2, 3}, {2, 2}, {2, 1}, {2, 0}, {1, 0}, {0, 0}} {
			b.expect(t, want.running, want.waiting)
			if want.running > 0 {
				b.end()
			}
		}
		b.need(1)
		b.expect(t, 1, 0)
	})
}

// How many may run can grow with a notice or without one.
func TestCompactionsWaitForMoreRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(1)
		defer b.scheduler.Unregister()
		b.need(3)
		b.expect(t, 1, 2)
		b.allowed.Store(2)
		b.scheduler.UpdateGetAllowedWithoutPermission()
		b.expect(t, 2, 1)
		b.allowed.Store(3)
		b.expect(t, 2, 1)
		time.Sleep(compactionPoll)
		b.expect(t, 3, 0)
	})
}

// A store in which no compaction waits wakes nobody.
func TestNoCompactionNoWakeup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(1)
		defer b.scheduler.Unregister()
		b.need(2)
		b.expect(t, 1, 1)
		b.end()
		b.expect(t, 1, 0)
		b.end()
		time.Sleep(2 * compactionPoll)
		synctest.Wait()
		before := b.asked.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := b.asked.Load() - before; n != 0 {
			t.Errorf("Pebble was asked %d times in an idle hour", n)
		}
	})
}

// While a store closes nothing begins any more.
func TestNoCompactionAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(1)
		b.need(2)
		b.expect(t, 1, 1)
		b.scheduler.Unregister()
		b.end()
		b.expect(t, 0, 1)
		if ok, _ := b.scheduler.TrySchedule(); ok {
			t.Error("a compaction was let in after the end")
		}
	})
}

// Every store has the scheduler, and its compactions are done.
func TestStoreCompacts(t *testing.T) {
	s, err := OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := s.db.Metrics().Compact.Count; n != 0 {
		t.Fatalf("%d compactions of nothing", n)
	}
	for i := range 3 {
		b := s.NewBatch()
		b.Set([]byte{1, byte(i)}, make([]byte, 100))
		if err := b.Commit(Sync); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Compact(t.Context(), []byte{0}, []byte{255}, false); err != nil {
		t.Fatal(err)
	}
	if n := s.db.Metrics().Compact.Count; n == 0 {
		t.Error("nothing was compacted")
	}
}
