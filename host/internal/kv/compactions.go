package kv

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// compactionPoll is how soon a compaction that must wait is looked at again: how many may run together grows without notice when
// much is to be compacted.
const compactionPoll = 100 * time.Millisecond

// openPebble opens a directory with a scheduler of its own; one serves a single store.
func openPebble(dir string, po *pebble.Options) (*pebble.DB, error) {
	po.Experimental.CompactionScheduler = newCompactions()
	return pebble.Open(dir, po)
}

// compactions lets as many compactions run together as Pebble says. Pebble's own scheduler does the same, and wakes ten times a
// second as long as the store is open, which is most of what a daemon does that has nothing to do; this one wakes only while a
// compaction waits.
//
// Pebble calls it with its locks held, and it calls Pebble with none of its own, from one goroutine.
type compactions struct {
	db pebble.DBForCompaction
	// poke says that there may be something to grant, and stop ends the goroutine, which closes ended.
	poke        chan struct{}
	stop, ended chan struct{}
	// mu guards the fields below it.
	mu      sync.Mutex
	running int
	// waiting: a compaction was turned away, and Pebble does not ask again before it has been granted one.
	waiting bool
	over    bool
}

var _ pebble.CompactionScheduler = (*compactions)(nil)

func newCompactions() *compactions {
	return &compactions{poke: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{})}
}

// Register implements pebble.CompactionScheduler.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) {
	c.db = db
	go c.run()
}

// Unregister implements pebble.CompactionScheduler: when it returns, Pebble is not called any more.
func (c *compactions) Unregister() {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	close(c.stop)
	<-c.ended
}

// TrySchedule implements pebble.CompactionScheduler.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false, nil
	}
	if c.running >= c.db.GetAllowedWithoutPermission() {
		c.waiting = true
		c.wake()
		return false, nil
	}
	c.running++
	return true, granted{c}
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler.
func (c *compactions) UpdateGetAllowedWithoutPermission() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting {
		c.wake()
	}
}

// wake has the goroutine look; it never blocks.
func (c *compactions) wake() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

func (c *compactions) run() {
	defer close(c.ended)
	poll := time.NewTimer(0)
	defer poll.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-c.poke:
		case <-poll.C:
		}
		poll.Stop()
		if c.grant() {
			poll.Reset(compactionPoll)
		}
	}
}

// grant lets compactions that wait begin, as many as may, and reports whether any goes on waiting.
func (c *compactions) grant() bool {
	for c.reserve() {
		waits, _ := c.db.GetWaitingCompaction()
		if !waits || !c.db.Schedule(granted{c}) {
			c.done()
			continue
		}
		c.mu.Lock()
		c.waiting = true // there may be more
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// reserve takes a place for a compaction that waits. From then on none waits until Pebble has been asked, so that one that is turned
// away meanwhile is not forgotten.
func (c *compactions) reserve() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || !c.waiting || c.running >= c.db.GetAllowedWithoutPermission() {
		return false
	}
	c.running++
	c.waiting = false
	return true
}

// done gives a place back.
func (c *compactions) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if c.waiting {
		c.wake()
	}
}

// granted is the permission of one compaction.
type granted struct{ c *compactions }

// Started implements pebble.CompactionGrantHandle.
func (granted) Started() {}

// MeasureCPU implements pebble.CompactionGrantHandle.
func (granted) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats implements pebble.CompactionGrantHandle.
func (granted) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done implements pebble.CompactionGrantHandle.
func (g granted) Done() { g.c.done() }
