package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// History says how much of a database is kept beside the present values of its rows.
type History struct {
	// Keep is how long, within MaxBytes. Default 24 hours.
	Keep time.Duration
	// MaxBytes is about how much. Default 24 MiB. Watches and batches that have not read it yet hold back four times that.
	MaxBytes uint64
}

func (h History) withDefaults() History {
	if h.MaxBytes == 0 {
		h = History{Keep: 24 * time.Hour, MaxBytes: 24 << 20}
	}
	return h
}

// readerShare is how many times MaxBytes readers may hold back.
const readerShare = 4

// Pace of reclamation: how often it looks whether there is something to do, and how long it rests after a step in
// proportion to how long the step took, so that it takes at most a fifth of a core and of the disk.
const (
	reclaimEvery = 2 * time.Second
	reclaimIdle  = 30 * time.Second
	reclaimRest  = 4
	minRest      = 2 * time.Millisecond
)

// Reclaimer gives space back: it removes from each database the history that is older or more than it should be, and the
// tombstones that every member knows of.
type Reclaimer struct {
	// History of each database.
	History History
	// Now is the wall clock.
	Now func() time.Time
	// Failed is told when a database cannot be seen to; it is tried again later. It may be nil.
	Failed func(db *rows.DB, err error)

	store *rows.Store
	self  id.Principal
	// seen is used by Run alone.
	seen map[*rows.DB]*sight
}

// NewReclaimer returns a reclaimer for all databases of the store, on the device of self; it starts nothing.
func NewReclaimer(store *rows.Store, self id.Principal, history History, now func() time.Time) *Reclaimer {
	return &Reclaimer{History: history.withDefaults(), Now: now, store: store, self: self, seen: map[*rows.DB]*sight{}}
}

// Run works until ctx ends, and returns nil.
func (r *Reclaimer) Run(ctx context.Context) error {
	ticker := time.NewTicker(reclaimEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		dbs, _ := r.store.Databases()
		maps.DeleteFunc(r.seen, func(db *rows.DB, _ *sight) bool { return !slices.Contains(dbs, db) })
		for _, db := range dbs {
			if err := r.tidy(ctx, db); err != nil && !errors.Is(err, rows.ErrDestroyed) && r.Failed != nil {
				r.Failed(db, err)
			}
		}
	}
}

// tidy tells the others what this device holds of one database, and reclaims what may go of it, step by step.
func (r *Reclaimer) tidy(ctx context.Context, db *rows.DB) error {
	if !r.due(db) {
		return nil
	}
	limits, err := r.agree(db)
	if err != nil {
		return err
	}
	agreed := time.Now()
	for ctx.Err() == nil {
		if time.Since(agreed) >= reclaimIdle { // a lot to reclaim may take longer than the others need to say what they hold
			if limits, err = r.agree(db); err != nil {
				return err
			}
			agreed = time.Now()
		}
		began := time.Now()
		got, err := db.Reclaim(limits)
		if err != nil || !got.More {
			return err
		}
		rest := time.NewTimer(max(minRest, reclaimRest*time.Since(began)))
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
		rest.Stop()
	}
	return nil
}

// agree tells the others what this device holds, if it is time to, and returns what may go after what they have said.
func (r *Reclaimer) agree(db *rows.DB) (rows.Limits, error) {
	groups, err := loadGroups(db)
	if err != nil {
		return rows.Limits{}, err
	}
	if err := r.acknowledge(db, groups); err != nil {
		return rows.Limits{}, err
	}
	return r.limits(db, groups), nil
}

// limits decides what may go of a database now.
func (r *Reclaimer) limits(db *rows.DB, groups []groupAcks) rows.Limits {
	f := frontiers(db, groups)
	return rows.Limits{
		Before: r.Now().Add(-r.History.Keep), MaxBytes: r.History.MaxBytes, ReaderBytes: readerShare * r.History.MaxBytes,
		Stable: func(c id.Collection) (id.Vector, bool) {
			held, shared := f[c]
			return held, shared
		},
	}
}

// due reports whether a database has changed since it was last seen to, or was not seen to for a while.
func (r *Reclaimer) due(db *rows.DB) bool {
	state, now := db.Published(), time.Now()
	seen := r.seen[db]
	if seen == nil {
		seen = &sight{}
		r.seen[db] = seen
	}
	if seen.seq == state.Seq && seen.meta == state.Meta && now.Sub(seen.at) < reclaimIdle {
		return false
	}
	seen.seq, seen.meta, seen.at = state.Seq, state.Meta, now
	return true
}

// sight is when and how a database was seen to.
type sight struct {
	seq, meta uint64
	at        time.Time
	// acked is when this device last said what it holds, and litter DB.Litter then.
	acked  time.Time
	litter uint64
}
