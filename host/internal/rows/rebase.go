package rows

import (
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
)

// Rebased says what holding this device against an inventory came to.
type Rebased struct {
	// Dropped rows were deleted elsewhere while this device was away.
	Dropped int
	// Renewed rows were written here, unknown to the others, before one of their deletes, or together with such a row: they
	// were written anew, so that they win everywhere, whoever still remembers such a delete.
	Renewed int
}

// rebaseRows bounds what one transaction of a rebase looks at.
const rebaseRows = 1000

// Rebasing holds what this device has against the inventories of one pull: Take for each of them, and End before anything
// else of the pull is taken. Whatever interrupts it, the next pull begins with it again.
type Rebasing struct {
	db *DB
	// old are the commits with a row that has to be written anew, in the order in which they were found.
	old   []commitName
	known map[commitName]bool
}

// commitName names a commit, and says how many records it has.
type commitName struct {
	writer       id.Writer
	first, count uint64
}

// BeginRebase returns a Rebasing of the database.
func (db *DB) BeginRebase() *Rebasing { return &Rebasing{db: db, known: map[commitName]bool{}} }

// Take holds what this device has in a part of a scope against a peer's inventory of it, in bounded atomic steps: a row
// that the peer knew of and has no more was deleted, and goes, also where it was only set aside; one that the peer never
// knew stays. A bare inventory takes nothing away, and may be of a collection that nothing is known of yet. It returns when all of it is
// durable. Errors: ErrPaused, ErrReadOnlyStore, ErrDestroyed.
func (r *Rebasing) Take(inv *delta.Inventory) (sum Rebased, err error) {
	db := r.db
	if inv.DroppedAt > hlc.MaxTime {
		return sum, fmt.Errorf("%w: deletes with the impossible time %v", ErrRefused, inv.DroppedAt.Wall())
	}
	num, known := db.CollectionNum(inv.Scope.Collection)
	if !known && !inv.Bare {
		return sum, nil
	}
	for from, more := inv.From, true; more; {
		var keys []string
		if keys, from, more, err = db.strangers(num, inv, from); err != nil {
			return sum, err
		}
		got, err := r.take(inv, keys, !more)
		if err != nil {
			return sum, err
		}
		sum.Dropped += got.Dropped
		sum.Renewed += got.Renewed
		if len(r.old) > maxOldCommits {
			got, err := r.End()
			if sum.Renewed += got.Renewed; err != nil {
				return sum, err
			}
		}
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

func (r *Rebasing) take(inv *delta.Inventory, keys []string, last bool) (Rebased, error) {
	t, p, got, err := r.takeLocked(inv, keys, last)
	if err != nil || t == nil {
		return got, err
	}
	return got, t.finish(p)
}

func (r *Rebasing) takeLocked(inv *delta.Inventory, keys []string, last bool) (*txn, Published, Rebased, error) {
	db := r.db
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, Published{}, Rebased{}, err
	}
	if db.rec.Settings.SyncPaused {
		return nil, Published{}, Rebased{}, fmt.Errorf("%w: %s", ErrPaused, db.name)
	}
	t := rebase{txn: db.begin(), inv: inv}
	t.coll = db.enter(t.b, inv.Scope.Collection, t.fresh)
	var err error
	for i := 0; i < len(keys) && err == nil; i++ {
		err = t.look(keys[i])
	}
	if last && err == nil {
		err = t.lookAtLetters()
	}
	if err != nil {
		t.b.Discard()
		return nil, Published{}, Rebased{}, err
	}
	for _, name := range t.old {
		if !r.known[name] {
			r.known[name], r.old = true, append(r.old, name)
		}
	}
	if len(t.drop) == 0 && !t.letters.changed() && t.coll.dropped.Dominates(inv.Dropped) {
		t.b.Discard()
		return nil, Published{}, Rebased{}, nil
	}
	db.answers.told.Add(1)
	t.write()
	p, err := t.apply(db.know)
	if err != nil {
		return nil, Published{}, Rebased{}, err
	}
	t.coll.dropped, t.coll.droppedAt = t.drops.upTo, t.drops.at
	return t.txn, p, Rebased{Dropped: len(t.drop)}, nil
}

// rebase is one transaction of a rebase.
type rebase struct {
	*txn
	inv   *delta.Inventory
	coll  *collection
	drop  []*rowState
	old   []commitName
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
	// What others wrote came from somebody who told of forgotten deletes before.
	if r.inv.Bare && shown.Version.Writer != r.db.writer {
		return nil
	}
	switch {
	case !slices.ContainsFunc(row.Heads, func(h history.Head) bool { return !known(h) }):
		r.drop = append(r.drop, row)
	case key != "" && !shown.Deleted && len(row.Heads) == 1 && shown.Time <= r.inv.DroppedAt:
		name, err := r.db.commitOf(r.coll, shown.Version)
		if err != nil {
			return err
		}
		r.old = append(r.old, name)
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
	r.startCommit(true, id.Writer{}, 0, 0, r.db.clock.Next(r.db.now()))
	c := &r.commits[0]
	for _, row := range r.drop {
		if row.live() != nil {
			c.changes = append(c.changes, change{coll: r.coll.num, gone: true, key: row.key})
		}
		row.Heads, row.dirty, row.shown = nil, true, id.Version{}
	}
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
