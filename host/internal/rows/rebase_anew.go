package rows

import (
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// maxOldCommits bounds how many commits a Rebasing remembers that have to be written anew.
const maxOldCommits = 100_000

// End writes anew what was found to need it, each commit whole and as a commit of its own: whatever of it is still the last
// word on its row, in whichever collection. Only after all inventories is it known what of it was deleted.
func (r *Rebasing) End() (sum Rebased, err error) {
	for len(r.old) > 0 {
		t, p, got, err := r.anew()
		if err == nil && t != nil {
			err = t.finish(p)
		}
		if err != nil {
			return sum, err
		}
		sum.Renewed += got
	}
	return sum, nil
}

// anew writes some commits anew in one transaction.
func (r *Rebasing) anew() (*txn, Published, int, error) {
	db := r.db
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, Published{}, 0, err
	}
	if db.rec.Settings.SyncPaused {
		return nil, Published{}, 0, fmt.Errorf("%w: %s", ErrPaused, db.name)
	}
	t, rows, done := db.begin(), 0, 0
	for _, name := range r.old {
		n, err := t.anew(name)
		if err != nil {
			t.b.Discard()
			return nil, Published{}, 0, err
		}
		if rows, done = rows+n, done+1; rows >= rebaseRows {
			break
		}
	}
	if rows == 0 {
		t.b.Discard()
		r.old = r.old[done:]
		return nil, Published{}, 0, nil
	}
	// The rows are as large as they were, so what is here fits, however small the quota.
	t.puts = false
	p, err := t.apply(db.know)
	if err != nil {
		return nil, Published{}, 0, err
	}
	r.old = r.old[done:]
	return t, p, rows, nil
}

// anew writes one commit anew and returns how many rows that were.
func (t *txn) anew(name commitName) (int, error) {
	var todo []*rowState
	at := t.db.clock.Next(t.db.now())
	err := t.db.eachOfCommit(name.writer, name.first, name.count, func(coll *collection, rec wire.Record) error {
		if rec.Key == "" || rec.Kind == wire.Link {
			return nil
		}
		row, err := t.row(coll, rec.Key)
		if err != nil || len(row.Heads) != 1 || row.Heads[0].Version != rec.Version {
			return err
		}
		at = max(at, row.Time()+1, coll.droppedAt+1)
		todo = append(todo, row)
		return nil
	})
	if err != nil || len(todo) == 0 {
		return 0, err
	}
	t.startCommit(false, t.db.writer, t.ownGen+1, uint64(len(todo)), at)
	for _, row := range todo {
		t.again(row)
	}
	return len(todo), nil
}

// again writes a row anew as it is.
func (t *txn) again(row *rowState) {
	h := row.Heads[0]
	next := row.Next(t.db.writer)
	t.ownGen++
	rec := wire.Record{
		Version: id.Version{Writer: t.db.writer, Gen: t.ownGen}, Key: row.key, Parents: next.Parents, Seen: next.Seen,
		Beside: next.Beside, Value: h.Value, Raw: h.Raw, Type: h.Type,
	}
	if h.Deleted {
		rec.Kind = wire.Delete
	}
	t.record(row.coll, row, &rec)
}

// commitOf names the commit that a version is of; one that the log does not have any more stands alone.
func (db *DB) commitOf(coll *collection, v id.Version) (commitName, error) {
	_, h, err := db.logRecord(coll.num, v)
	if errors.Is(err, kv.ErrNotFound) {
		return commitName{v.Writer, v.Gen, 1}, nil
	}
	return commitName{v.Writer, v.Gen - h.index, h.count}, err
}
