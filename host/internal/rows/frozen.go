package rows

import (
	"errors"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// ErrFrozen means that rows are read-only on this device: they were shared, and are not any more.
var ErrFrozen = errors.New("read-only on this device")

// Frozen is what local writers may not change: what lies in one of Scopes and in none of Except. Reason says why, for
// people. Collections with one of Kept, which no one of Except covers, cannot be destroyed either: whoever comes back to share them
// would destroy them for everybody.
type Frozen struct {
	Scopes, Except, Kept []id.Scope
	Reason               string
}

func (f *Frozen) has(c id.Collection, key string) bool {
	in := func(s id.Scope) bool { return s.Has(c, key) }
	return slices.ContainsFunc(f.Scopes, in) && !slices.ContainsFunc(f.Except, in)
}

// Freeze replaces what is frozen; every commit that begins later sees it. It is not kept on disk: whoever opens the store
// says it again. What peers send is not held up, and collections can be destroyed as a whole unless they are Kept.
func (db *DB) Freeze(f Frozen) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.frozen = f
}

// thawed refuses operations on what is frozen. Called with mu held.
func (db *DB) thawed(ops []Op) error {
	if len(db.frozen.Scopes) == 0 {
		return nil
	}
	for i := range ops {
		if op := &ops[i]; op.Kind != OpCheck && db.frozen.has(op.Collection, op.Key) && !db.remakes(op) {
			return atOp(i, ops, fmt.Errorf("%s is %w: %s", describe(op.Collection, op.Key), ErrFrozen, db.frozen.Reason))
		}
	}
	return nil
}

// remakes reports whether the operation makes a collection anew that is not here any more, and that nobody comes back to share: so that
// it can be shared in a new syncgroup. Called with mu held.
func (db *DB) remakes(op *Op) bool {
	if op.Kind != OpPut || op.Key != "" || op.Collection.Kind != id.Rows {
		return false
	}
	if coll := db.colls[op.Collection]; coll != nil && coll.perms != nil {
		return false
	}
	return !db.frozen.keeps(op.Collection)
}

// keeps reports whether the collection is one that somebody may come back to share.
func (f *Frozen) keeps(c id.Collection) bool {
	return slices.ContainsFunc(f.Kept, func(s id.Scope) bool {
		covers := func(o id.Scope) bool { return o.Covers(s) }
		return s.Collection == c && !slices.ContainsFunc(f.Except, covers)
	})
}

// destroyable refuses to destroy a collection that is kept. Called with mu held.
func (db *DB) destroyable(c id.Collection) error {
	if f := &db.frozen; f.keeps(c) {
		return fmt.Errorf("%s is %w, and cannot be destroyed alone, which would keep this device from joining again: %s; or destroy the syncgroup for all its members, or the database on this device alone",
			describe(c, ""), ErrFrozen, f.Reason)
	}
	return nil
}

// DestroyedHere reports whether this device, and no other, has destroyed the collection last.
func (db *DB) DestroyedHere(c id.Collection) (bool, error) {
	num, heard := db.CollectionNum(c)
	if !heard {
		return false, nil
	}
	data, err := db.s.kv.Get(collKey(spaceTomb, db.num, num))
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	head, err := decodeHead(data)
	return head.Version.Writer.Device == db.writer.Device, err
}
