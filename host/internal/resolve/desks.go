package resolve

import (
	"context"
	"sync"

	"github.com/syncbase/syncbase/host/internal/rows"
)

// Desks has a desk for each database. Safe for concurrent use.
type Desks struct {
	store *rows.Store
	opts  Options

	// mu guards the fields below it.
	mu    sync.Mutex
	desks map[*rows.DB]*desk
}

// New starts nothing.
func New(store *rows.Store, opts Options) *Desks {
	return &Desks{store: store, opts: opts.withDefaults(), desks: map[*rows.DB]*desk{}}
}

// Run serves every database until ctx ends, and returns when all that it started has ended.
func (d *Desks) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	started := map[*rows.DB]bool{}
	for {
		dbs, changed := d.store.Databases()
		for _, db := range dbs {
			if started[db] {
				continue
			}
			started[db] = true
			running.Go(func() {
				d.desk(db).run(ctx)
				d.mu.Lock()
				defer d.mu.Unlock()
				delete(d.desks, db)
			})
		}
		d.forget(started, dbs)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// forget drops databases that are gone.
func (d *Desks) forget(started map[*rows.DB]bool, dbs []*rows.DB) {
	present := map[*rows.DB]bool{}
	for _, db := range dbs {
		present[db] = true
	}
	for db := range started {
		if !present[db] {
			delete(started, db)
		}
	}
}

func (d *Desks) desk(db *rows.DB) *desk {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.desks[db] == nil {
		d.desks[db] = newDesk(db, d.opts)
	}
	return d.desks[db]
}

// Attach takes a seat at the desk of a database. The caller must Close it.
func (d *Desks) Attach(db *rows.DB) *Seat {
	desk := d.desk(db)
	desk.mu.Lock()
	defer desk.mu.Unlock()
	desk.seats++
	return &Seat{desk: desk}
}
