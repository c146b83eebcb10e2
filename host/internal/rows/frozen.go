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
		if op := &ops[i]; op.Kind != OpCheck && db.frozen.has(op.Collection, op.Key) {
			return atOp(i, ops, fmt.Errorf("%s is %w: %s", describe(op.Collection, op.Key), ErrFrozen, db.frozen.Reason))
		}
	}
	return nil
}

// destroyable refuses to destroy a collection that is kept. Called with mu held.
func (db *DB) destroyable(c id.Collection) error {
	f := &db.frozen
	for _, s := range f.Kept {
		covers := func(o id.Scope) bool { return o.Covers(s) }
		if s.Collection == c && !slices.ContainsFunc(f.Except, covers) {
			return fmt.Errorf("%s is %w, and cannot be destroyed alone, which would keep this device from joining again: %s; or destroy the database on this device",
				describe(c, ""), ErrFrozen, f.Reason)
		}
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
