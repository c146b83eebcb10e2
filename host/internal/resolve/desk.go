package resolve

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// desk hands out the conflicts of one database.
type desk struct {
	db   *rows.DB
	opts Options

	// mu guards the fields below it.
	mu sync.Mutex
	// queue are rows in conflict that wait for a seat, in order; queued says which are in it.
	queue  []entry
	queued map[rows.ConflictRef]bool
	// resting are rows that wait for their time; rests says which. News of them, which can come twice, does not bring them back
	// sooner.
	resting []entry
	rests   map[rows.ConflictRef]bool
	// tries count the failures of a row since it was last resolved.
	tries map[rows.ConflictRef]int
	// leased are the rows of offers that are out.
	leased map[rows.ConflictRef]bool
	// blocked are rows whose groups overlap with offers that are out.
	blocked []entry
	// more: there were too many for the queue.
	more    bool
	offers  uint64
	seats   int
	plugins map[string]*pluginQueue
	// wake is closed and replaced when there is something new for those who wait: seats and run.
	wake chan struct{}
}

// entry is a row that waits.
type entry struct {
	ref rows.ConflictRef
	due time.Time
	// avoid is a seat that was silent about it: another one is better, if there is one.
	avoid *Seat
}

func newDesk(db *rows.DB, opts Options) *desk {
	return &desk{
		db: db, opts: opts, queued: map[rows.ConflictRef]bool{}, rests: map[rows.ConflictRef]bool{},
		tries:  map[rows.ConflictRef]int{},
		leased: map[rows.ConflictRef]bool{}, plugins: map[string]*pluginQueue{}, wake: make(chan struct{}),
	}
}

// stir wakes whoever waits. Called with mu held.
func (d *desk) stir() {
	close(d.wake)
	d.wake = make(chan struct{})
}

// waiting returns a channel that is closed at the next stir.
func (d *desk) waiting() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wake
}

// run sorts what comes into conflict until the database is gone or ctx ends.
func (d *desk) run(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for ctx.Err() == nil && d.db.Err() == nil {
		_, more := d.db.More()
		wake := d.waiting()
		rest, err := d.collect(func(name string) {
			workers.Go(func() { d.work(ctx, name) })
		})
		if err != nil && d.db.Err() == nil {
			d.opts.Events.Failed(d.db.Name(), err)
			rest = cmp.Or(rest, d.opts.MaxPause)
		}
		d.sleep(ctx, more, wake, rest)
	}
}

// sleep waits for news, or for the time until something that rests is due; without any, rest is 0.
func (d *desk) sleep(ctx context.Context, more, wake <-chan struct{}, rest time.Duration) {
	var due <-chan time.Time
	if rest > 0 {
		timer := time.NewTimer(rest)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-more:
	case <-wake:
	case <-due:
	}
}

// collect takes what has come into conflict, or has rested enough, to those who decide. It returns how long the next one
// rests.
func (d *desk) collect(start func(plugin string)) (rest time.Duration, err error) {
	refs, all := d.db.TakeConflicts()
	d.mu.Lock()
	if d.more && len(d.queue) == 0 {
		d.more, all = false, true
	}
	now := time.Now()
	d.resting = slices.DeleteFunc(d.resting, func(e entry) bool {
		if e.due.After(now) {
			if left := e.due.Sub(now); rest == 0 || left < rest {
				rest = left
			}
			return false
		}
		delete(d.rests, e.ref)
		refs = append(refs, e.ref)
		return true
	})
	d.mu.Unlock()
	if all {
		if refs, err = d.db.ConflictRefs(); err != nil {
			d.mu.Lock()
			d.more = true
			d.mu.Unlock()
			return rest, err
		}
	}
	seen := map[rows.ConflictRef]bool{}
	for _, ref := range refs {
		if seen[ref] {
			continue
		}
		if failed := d.sort(ref, seen, start); failed != nil {
			err = errors.Join(err, failed)
			d.rest(ref)
		}
	}
	return rest, err
}

// sort takes the group of a row to who decides it, and marks its rows as seen.
func (d *desk) sort(ref rows.ConflictRef, seen map[rows.ConflictRef]bool, start func(plugin string)) error {
	seen[ref] = true
	choice, refs, err := d.db.ConflictChoice(ref)
	if errors.Is(err, rows.ErrNoConflict) || errors.Is(err, rows.ErrNoCollection) {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.tries, ref)
		return nil
	}
	if err != nil {
		return err
	}
	for _, ref := range refs {
		seen[ref] = true
	}
	switch choice.Method {
	case merge.Last:
		_, err := d.db.Settle(refs)
		return err
	case merge.App:
		d.mu.Lock()
		defer d.mu.Unlock()
		d.enqueue(entry{ref: ref})
	case merge.Plugin:
		d.mu.Lock()
		q, rests := d.plugins[choice.Plugin], d.rests[ref]
		fresh := q == nil
		if fresh {
			q = newPluginQueue()
			d.plugins[choice.Plugin] = q
		}
		d.mu.Unlock()
		if !rests {
			q.add(ref)
		}
		if fresh {
			start(choice.Plugin)
		}
	}
	return nil
}

// enqueue is called with mu held.
func (d *desk) enqueue(e entry) {
	if d.queued[e.ref] || d.rests[e.ref] {
		return
	}
	if len(d.queue) >= d.opts.Queue {
		d.more = true
		return
	}
	d.queued[e.ref] = true
	d.queue = append(d.queue, e)
	d.stir()
}

// rest is putAway for callers without the lock.
func (d *desk) rest(ref rows.ConflictRef) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.putAway(ref)
}

// putAway lets a row rest, the longer the more often that happens to it. It is called with mu held.
func (d *desk) putAway(ref rows.ConflictRef) {
	if d.rests[ref] {
		return
	}
	pause := d.opts.MaxPause
	if n := d.tries[ref]; n < 16 {
		pause = min(pause, d.opts.Pause<<n)
	}
	if len(d.tries) < d.opts.Queue {
		d.tries[ref]++
	}
	if len(d.resting) >= d.opts.Queue {
		d.more = true
		return
	}
	d.rests[ref] = true
	d.resting = append(d.resting, entry{ref: ref, due: time.Now().Add(pause)})
	d.stir()
}
