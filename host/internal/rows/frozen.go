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
// people.
type Frozen struct {
	Scopes, Except []id.Scope
	Reason         string
}

func (f *Frozen) has(c id.Collection, key string) bool {
	in := func(s id.Scope) bool { return s.Has(c, key) }
	return slices.ContainsFunc(f.Scopes, in) && !slices.ContainsFunc(f.Except, in)
}

// Freeze replaces what is frozen; every commit that begins later sees it. It is not kept on disk: whoever opens the store
// says it again. What peers send is not held up, and collections can be destroyed as a whole.
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
