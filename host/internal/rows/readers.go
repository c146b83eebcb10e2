package rows

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// ErrMarkerTooOld means that the log after a resume marker has been reclaimed in the meantime: whoever has only the marker
// begins again with the present rows.
var ErrMarkerTooOld = fmt.Errorf("%w: the log after it has been reclaimed", ErrMarker)

// readers are those who still need the log from some point on, and so hold back what is reclaimed.
type readers struct {
	// mu guards open.
	mu   sync.Mutex
	open map[*reader]struct{}
}

// reader is one of them: it needs the log after this point.
type reader struct{ pos atomic.Uint64 }

// enter registers a reader; leave must be called with it in the end.
func (r *readers) enter(pos uint64) *reader {
	one := &reader{}
	one.pos.Store(pos)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = map[*reader]struct{}{}
	}
	r.open[one] = struct{}{}
	return one
}

func (r *readers) leave(one *reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, one)
}

// slowest returns the least point after which somebody needs the log, and whether there is anybody.
func (r *readers) slowest() (pos uint64, any bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for one := range r.open {
		if at := one.pos.Load(); !any || at < pos {
			pos, any = at, true
		}
	}
	return pos, any
}

// Floor is the marker below which the log has been reclaimed.
func (db *DB) Floor() uint64 { return db.floor.Load() }

// Litter counts, since the database was opened, the values and deletes of applications' rows that will be reclaimed some
// time. As long as it stays the same, nobody has to know what this device holds.
func (db *DB) Litter() uint64 { return db.littered.Load() }

// tooOld explains an error of a reader that was overtaken by reclamation, which is decided before anything is removed.
func (db *DB) tooOld(after uint64, err error) error {
	floor := db.floor.Load()
	if after >= floor || errors.Is(err, ErrMarkerTooOld) {
		return err
	}
	return fmt.Errorf("%w: %d lies before %d; begin again with the present rows", ErrMarkerTooOld, after, floor)
}
