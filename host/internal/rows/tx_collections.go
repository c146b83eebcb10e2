package rows

import (
	"fmt"
	"maps"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// txCollection is a collection as a batch has it.
type txCollection struct {
	present
	list    perm.List
	version id.Version
	// made: the batch created the collection. Its number then is one that no stored row has.
	made bool
	// changed: the batch replaced the access list.
	changed bool
}

// Collections lists the collections that exist for the batch, in order. Which there are counts as read.
func (t *Tx) Collections() ([]id.Collection, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return nil, ErrDone
	}
	t.listed = true
	return slices.SortedFunc(maps.Keys(t.colls), id.Collection.Compare), nil
}

// Permissions returns the access list of a collection as the batch has it, and its version: zero when the batch made it.
func (t *Tx) Permissions(c id.Collection) (perm.List, id.Version, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	coll, err := t.enter(c)
	if err != nil {
		return nil, id.Version{}, err
	}
	return coll.list, coll.version, nil
}

// Made reports whether the collection was created by the batch itself, and Changed whether the batch replaced its access
// list. Neither counts as reading it.
func (t *Tx) Made(c id.Collection) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	coll := t.colls[c]
	return coll != nil && coll.made
}

// Changed is described with Made.
func (t *Tx) Changed(c id.Collection) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	coll := t.colls[c]
	return coll != nil && coll.changed
}

// CreateCollection makes an empty collection in the batch. If somebody else makes one of the name before Commit, that
// fails with ErrConflict.
func (t *Tx) CreateCollection(c id.Collection, list perm.List) error {
	if err := validateCollection(c, list); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.writable(); err != nil {
		return err
	}
	if coll := t.colls[c]; coll != nil {
		if err := t.note(txRef{coll.num, ""}); err != nil {
			return err
		}
		return fmt.Errorf("collection %s %w", c, ErrExists)
	}
	if err := t.grow(len(list.Marshal())); err != nil {
		return err
	}
	t.made++
	t.colls[c] = &txCollection{present: present{num: ^t.made}, list: list.Clone(), made: true}
	return nil
}

// DestroyCollection ends a collection in the batch, with what the batch has written to it.
func (t *Tx) DestroyCollection(c id.Collection) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.writable(); err != nil {
		return err
	}
	coll, err := t.enter(c)
	if err != nil {
		return err
	}
	maps.DeleteFunc(t.writes, func(ref txRef, _ *Op) bool { return ref.coll == coll.num })
	delete(t.colls, c)
	if !coll.made {
		t.ended[c] = true
	}
	return nil
}

// SetPermissions replaces the access list of a collection in the batch. With a version it fails with ErrConflict unless
// that is the list's.
func (t *Tx) SetPermissions(c id.Collection, list perm.List, version id.Version) error {
	if err := validateCollection(c, list); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.writable(); err != nil {
		return err
	}
	coll, err := t.enter(c)
	if err != nil {
		return err
	}
	if !version.IsZero() && version != coll.version {
		return fmt.Errorf("access list of %s has version %s, not %s: it %w", c, coll.version, version, ErrConflict)
	}
	if err := t.grow(len(list.Marshal())); err != nil {
		return err
	}
	coll.list, coll.version, coll.changed = list.Clone(), id.Version{}, true
	return nil
}

// writable is called with mu held.
func (t *Tx) writable() error {
	switch {
	case t.done:
		return ErrDone
	case t.readOnly:
		return ErrReadOnly
	}
	return nil
}

// collectionOps are the operations that make of the collections at Begin those of the batch: for each that was destroyed a
// delete, and for each that was made, or whose list was replaced, a put.
func (t *Tx) collectionOps() []Op {
	ops := make([]Op, 0, len(t.writes)+len(t.ended))
	for c := range t.ended {
		ops = append(ops, Op{Kind: OpDelete, Collection: c})
	}
	for c, coll := range t.colls {
		if coll.made || coll.changed {
			ops = append(ops, listOp(c, coll.list))
		}
	}
	return ops
}

// admit asks the guard about an operation. The rights are those under the access lists before the batch, so that nobody
// can lend them to itself for the time of a batch and another device, which sees only how the batch ends, comes to the
// same judgement. Rows may also be written by who keeps the right to; and in a collection that the batch makes, by its
// maker.
func (t *Tx) admit(now *collection, op *Op, guard Guard) error {
	coll := t.colls[op.Collection]
	if op.Key == "" {
		return t.admitCollection(now, op, guard)
	}
	if coll.made {
		return nil
	}
	err := t.db.admit(now, op.Kind, guard)
	if err != nil && guard != nil && coll.changed && now.perms != nil {
		if guard(now.id, coll.list, op.Kind) == nil {
			return nil
		}
	}
	return err
}

// admitCollection is admit for what becomes of a collection itself.
func (t *Tx) admitCollection(now *collection, op *Op, guard Guard) error {
	kind := OpList
	switch {
	case op.Kind == OpDelete:
		kind = OpDestroy
	case t.colls[op.Collection].made:
		kind = OpCreate
		if now.perms != nil && !t.ended[op.Collection] {
			return fmt.Errorf("collection %s, which the batch made, was made by another as well: it %w", now.id, ErrConflict)
		}
	}
	if kind != OpCreate && now.perms == nil {
		return fmt.Errorf("%w: %s", ErrNoCollection, now.id)
	}
	if guard == nil {
		return nil
	}
	if kind == OpCreate {
		return guard(now.id, nil, kind)
	}
	return guard(now.id, now.perms, kind)
}

// sameCollections reports whether the collections that exist are those of Begin. Called with the database's mu held.
func (t *Tx) sameCollections() bool {
	n := 0
	for c, coll := range t.db.colls {
		if c.Kind == id.Rows && coll.perms != nil {
			if _, found := t.begun[c]; !found {
				return false
			}
			n++
		}
	}
	return n == len(t.begun)
}
