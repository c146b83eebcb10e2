package rows

import (
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// beforeFloor returns what seqHead said before the first value of space 15 that was not reclaimed: of the own generations
// there were no more than are sure, and than come before those in the value.
func (r *renewal) beforeFloor(sure id.Version, value []byte) (seqHead, error) {
	_, commits, _, err := decodeSeq(value)
	before := seqHead{ownGen: sure.Gen}
	for i := range commits {
		if commits[i].writer == sure.Writer {
			before.ownGen = min(before.ownGen, commits[i].first-1)
		}
	}
	return before, err
}

// reclaimed renames what is kept of tombstones that wait or were dropped.
func (r *renewal) reclaimed() error {
	prefix := append(dbKey(spaceReclaim, r.db.num), reclaimWaiting)
	err := r.each(prefix, kv.PrefixEnd(prefix), func(key, value []byte) (bool, error) {
		l, valid := parseWaiting(key)
		if !valid {
			return false, corrupt("tombstone that waits", nil)
		}
		if named, is := r.name(l.version); is {
			r.b.Delete(slices.Clone(key))
			l.version = named
			r.b.Set(waitingKey(r.db.num, l), value)
		}
		return true, nil
	})
	for _, coll := range r.db.colls {
		d := drops{upTo: coll.dropped.Clone(), at: coll.droppedAt}
		changed := false
		for w, g := range coll.dropped {
			named, is := r.name(id.Version{Writer: w, Gen: g})
			if !is {
				continue
			}
			delete(d.upTo, w)
			if kept := r.kept(w); kept > 0 {
				d.upTo[w] = kept
			}
			d.upTo.Add(named)
			changed = true
		}
		if changed {
			r.b.Set(droppedKey(r.db.num, coll.num), d.append(nil))
			coll.dropped = d.upTo
		}
		r.burial(coll)
	}
	return err
}

// burial renames the generations up to which the rows of a collection were destroyed.
func (r *renewal) burial(coll *collection) {
	reach := coll.burial.reach.Clone()
	changed := false
	for w, g := range coll.burial.reach {
		named, is := r.name(id.Version{Writer: w, Gen: g})
		if !is {
			continue
		}
		delete(reach, w)
		if kept := r.kept(w); kept > 0 {
			reach[w] = kept
		}
		reach.Add(named)
		changed = true
	}
	if changed {
		coll.burial.reach = reach
		r.b.Set(collKey(spaceBurial, r.db.num, coll.num), coll.burial.encode())
	}
}

// kept returns up to which generation a writer keeps its names.
func (r *renewal) kept(w id.Writer) uint64 {
	for _, p := range r.parts {
		if p.writer == w {
			return p.keep
		}
	}
	return 0
}
