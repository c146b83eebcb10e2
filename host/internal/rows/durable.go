package rows

import (
	"context"
	"sync"
)

// maxUnsynced bounds how many asynchronous commits may wait to become durable; the next one waits for room.
const maxUnsynced = 1024

// reserveAhead is how many generations are noted at a time before asynchronous commits take them. As many may be passed over when the
// database is opened.
const reserveAhead = 1 << 16

// reserve notes durably which generations may be given out, before a commit that is acknowledged first and made durable then takes
// one. If it is lost, the version that its caller has stands for nothing for ever. Called with mu held.
func (db *DB) reserve(t *txn) error {
	if !t.async || t.ownGen <= db.rec.Reserved {
		return nil
	}
	rec := db.rec
	rec.Reserved = t.ownGen + reserveAhead
	return db.store(rec)
}

// unsynced are commits that were acknowledged and are not yet durable.
type unsynced struct {
	// queue hands them to Run.
	queue chan *together
	// mu guards running; it is held while a commit is put into the queue, so that Run leaves none behind.
	mu      sync.RWMutex
	running bool
}

// Run makes asynchronous commits durable and publishes them, in order, until ctx ends; then it finishes those that are
// left and returns nil. While it does not run every commit is synchronous. An error means that an acknowledged commit
// could not be made durable: the store is of no more use. Beside that it counts what is held against quotas. At most one Run at
// a time.
func (s *Store) Run(ctx context.Context) error {
	s.unsynced.mu.Lock()
	s.unsynced.running = true
	s.unsynced.mu.Unlock()
	var counting sync.WaitGroup
	counting.Go(func() { s.countAll(ctx) })
	defer counting.Wait()
	var err error
	for ended := ctx.Done(); err == nil && ended != nil; {
		select {
		case w := <-s.unsynced.queue:
			err = w.wait()
		case <-ended:
			ended = nil
		}
	}
	// closed ends when no commit can be put into the queue any more; until then some may wait for room in it.
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.unsynced.mu.Lock()
		s.unsynced.running = false
		s.unsynced.mu.Unlock()
	}()
	for open := true; open; {
		select {
		case w := <-s.unsynced.queue:
			err = first(err, w.wait())
		case <-closed:
			open = false
		}
	}
	for len(s.unsynced.queue) > 0 {
		w := <-s.unsynced.queue
		err = first(err, w.wait())
	}
	return err
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// later leaves a commit to Run, and reports false if that does not run.
func (u *unsynced) later(g *together) bool {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if u.running {
		u.queue <- g
	}
	return u.running
}
