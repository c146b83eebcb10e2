package rows

import (
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Rebased says what holding this device against an inventory came to.
type Rebased struct {
	// Dropped rows were deleted elsewhere while this device was away.
	Dropped int
	// Renewed rows were written here, unknown to the others, before one of their deletes: they were written anew, so that
	// they win everywhere, whoever still remembers such a delete.
	Renewed int
}

// rebaseRows bounds what one transaction of a rebase looks at.
const rebaseRows = 1000

// Rebase holds what this device has in a part of a scope against a peer's inventory of it, in bounded atomic steps: a row
// that the peer knew of and has no more was deleted, and goes; one that the peer never knew stays. It returns when all of it
// is durable. Errors: ErrPaused, ErrReadOnlyStore, ErrDestroyed.
func (db *DB) Rebase(inv *delta.Inventory) (sum Rebased, err error) {
	if inv.DroppedAt > maxTime {
		return sum, fmt.Errorf("%w: deletes with the impossible time %v", ErrRefused, inv.DroppedAt.Wall())
	}
	num, known := db.CollectionNum(inv.Scope.Collection)
	if !known {
		return sum, nil
	}
	for from, more := inv.From, true; more; {
		var keys []string
		if keys, from, more, err = db.strangers(num, inv, from); err != nil {
			return sum, err
		}
		got, err := db.rebase(inv, keys)
		if err != nil {
			return sum, err
		}
		sum.Dropped += got.Dropped
		sum.Renewed += got.Renewed
	}
	return sum, nil
}

// strangers returns some keys, from one on, that are here and not in the inventory, and where to go on.
func (db *DB) strangers(num uint32, inv *delta.Inventory, from string) (keys []string, next string, more bool, err error) {
	w, err := db.walkKeys(db.s.kv, num, inv.Scope, from, inv.To)
	if err != nil {
		return nil, "", false, err
	}
	theirs := inv.Keys[searchKeys(inv.Keys, from):]
	for key, found := w.next(); found; key, found = w.next() {
		theirs = theirs[searchKeys(theirs, key):]
		if len(theirs) > 0 && theirs[0] == key {
			continue
		}
		if len(keys) == rebaseRows {
			return keys, key, true, w.close()
		}
		keys = append(keys, key)
	}
	return keys, "", false, w.close()
}

func searchKeys(keys []string, key string) int {
	at, _ := slices.BinarySearch(keys, key)
	return at
}

func (db *DB) rebase(inv *delta.Inventory, keys []string) (Rebased, error) {
	t, p, got, err := db.rebaseLocked(inv, keys)
	if err != nil || t == nil {
		return got, err
	}
	return got, t.finish(p)
}

func (db *DB) rebaseLocked(inv *delta.Inventory, keys []string) (*txn, Published, Rebased, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, Published{}, Rebased{}, err
	}
	if db.rec.Settings.SyncPaused {
		return nil, Published{}, Rebased{}, fmt.Errorf("%w: %s", ErrPaused, db.name)
	}
	r := rebase{txn: db.begin(), inv: inv, coll: db.colls[inv.Scope.Collection]}
	for _, key := range keys {
		if err := r.look(key); err != nil {
			r.b.Discard()
			return nil, Published{}, Rebased{}, err
		}
	}
	if len(r.drop)+len(r.renew) == 0 && r.coll.dropped.Dominates(inv.Dropped) {
		r.b.Discard()
		return nil, Published{}, Rebased{}, nil
	}
	r.write()
	p, err := r.apply(db.know)
	if err != nil {
		return nil, Published{}, Rebased{}, err
	}
	r.coll.dropped, r.coll.droppedAt = r.drops.upTo, r.drops.at
	return r.txn, p, Rebased{Dropped: len(r.drop), Renewed: len(r.renew)}, nil
}

// rebase is one transaction of a rebase.
type rebase struct {
	*txn
	inv   *delta.Inventory
	coll  *collection
	drop  []*rowState
	renew []*rowState
	drops drops
}

// look decides about a row that the peer does not have.
func (r *rebase) look(key string) error {
	row, err := r.row(r.coll, key)
	if err != nil || len(row.Heads) == 0 {
		return err
	}
	known := func(h history.Head) bool { return r.inv.Held.Covers(h.Version) }
	shown := &row.Heads[row.at()]
	switch {
	case !slices.ContainsFunc(row.Heads, func(h history.Head) bool { return !known(h) }):
		r.drop = append(r.drop, row)
	case key != "" && !shown.Deleted && len(row.Heads) == 1 && shown.Time <= r.inv.DroppedAt:
		r.renew = append(r.renew, row)
	}
	return nil
}

// write puts into the transaction what was decided, and that the deletes which the peer has forgotten are forgotten here,
// too: whoever was away longer than this device has to be told the same way.
func (r *rebase) write() {
	d := drops{upTo: r.coll.dropped.Clone(), at: max(r.coll.droppedAt, r.inv.DroppedAt)}
	d.upTo.Merge(r.inv.Dropped)
	r.b.Set(droppedKey(r.db.num, r.coll.num), d.append(nil))
	r.drops = d
	at := r.db.clock.Next(r.db.now())
	r.startCommit(true, id.Writer{}, 0, 0, at)
	c := &r.commits[0]
	for _, row := range r.drop {
		if row.live() != nil {
			c.changes = append(c.changes, change{coll: r.coll.num, gone: true, key: row.key})
		}
		row.Heads, row.dirty, row.shown = nil, true, id.Version{}
	}
	if len(r.renew) == 0 {
		return
	}
	r.startCommit(false, r.db.writer, r.ownGen+1, uint64(len(r.renew)), max(at, d.at+1))
	for _, row := range r.renew {
		r.again(row)
	}
}

// again writes a row anew as it is.
func (r *rebase) again(row *rowState) {
	h := row.Heads[0]
	next := row.Next(r.db.writer)
	r.ownGen++
	rec := wire.Record{
		Version: id.Version{Writer: r.db.writer, Gen: r.ownGen}, Key: row.key, Parents: next.Parents, Seen: next.Seen,
		Beside: next.Beside, Value: h.Value, Raw: h.Raw, Type: h.Type,
	}
	r.record(r.coll, row, &rec)
}

// writeGone removes what is stored of a row that is no more.
func (t *txn) writeGone(row *rowState) error {
	t.sum(row)
	for v, old := range row.open {
		t.b.Delete(openKey(t.db.num, row.coll.num, row.key, v))
		if err := t.indexOpen(row.rowRef, old, &history.Head{Version: v}); err != nil {
			return err
		}
	}
	for _, space := range []byte{spaceRow, spaceTomb} {
		t.b.Delete(rowKey(space, t.db.num, row.coll.num, row.key))
	}
	t.grown -= int64(row.stored)
	t.stands -= int64(row.stored)
	refs := t.db.s.opts.References
	if refs == nil || row.key == "" || row.coll.id.Kind != id.Rows || row.before == nil {
		return nil
	}
	return refs.IndexRow(t.b, t.db.num, row.coll.num, row.key, row.before, nil)
}
