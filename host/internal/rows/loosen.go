package rows

import (
	"errors"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// A conflict is decided together with those of the rows that were written along with its versions. When it ends, what it
// held together may be for somebody else to decide: the rows that are left are looked at again.

// loosened returns the rows in conflict that share a commit with a version of a conflict that the applied transaction has
// ended. Called before the transaction is released, with DB.mu held.
func (t *txn) loosened(ended []*rowState) (list []ConflictRef, err error) {
	read := map[id.Version]bool{}
	for _, row := range ended {
		for _, v := range append([]id.Version{row.trace.first}, row.trace.more...) {
			b, err := storedBatch(t.db, row.coll, v)
			if err != nil {
				return nil, err
			}
			if b == nil || read[b.name] {
				continue
			}
			read[b.name] = true
			if err := b.load(t.db, t.db.byNum, row.coll); err != nil {
				return nil, err
			}
			for _, ref := range b.rows {
				open, err := t.db.inConflict(ref)
				if err != nil {
					return nil, err
				}
				if open {
					list = append(list, ref.conflict())
				}
			}
		}
	}
	return list, nil
}

// inConflict reports whether a row is in conflict. Deletions can be, too.
func (db *DB) inConflict(ref rowRef) (bool, error) {
	data, err := db.s.kv.Get(rowKey(spaceRow, db.num, ref.coll.num, ref.key))
	if errors.Is(err, kv.ErrNotFound) {
		data, err = db.s.kv.Get(rowKey(spaceTomb, db.num, ref.coll.num, ref.key))
	}
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	return contested(data), err
}
