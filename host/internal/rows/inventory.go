package rows

import (
	"bytes"
	"context"
	"errors"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// inventoryBytes is about how many bytes of keys go into one part of an inventory.
const inventoryBytes = 64 << 10

// Holding returns those of the scopes in which this device has a row or a tombstone, or has set something aside.
func (db *DB) Holding(scopes []id.Scope) ([]id.Scope, error) {
	var list []id.Scope
	for _, s := range scopes {
		num, known := db.CollectionNum(s.Collection)
		if !known {
			continue
		}
		w, err := db.walkKeys(db.s.kv, num, s, "", "")
		if err != nil {
			return nil, err
		}
		if _, found := w.next(); found || db.holdsLetter(s) {
			list = append(list, s)
		}
		if err := w.close(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Inventory calls emit with the keys of which there is a row or tombstone in the scope, part by part, unless whoever knows
// this much of it has missed no delete whose tombstone was dropped. A tombstone that came back after that (history.State.Revive) is left
// out: it may name what the caller has as a value, and the caller learns of the delete by its not being there.
func (db *DB) Inventory(ctx context.Context, s id.Scope, known id.Vector, emit func(*delta.Inventory) error) error {
	part, coll := db.forgotten(s)
	if known.Dominates(part.Dropped) {
		return nil
	}
	// What is known is taken first: everything in it that is still there is in the snapshot. What was set aside is not among
	// the rows, and so must not be taken for deleted.
	part.Held = db.Applied(s)
	snap := db.s.kv.Snapshot()
	w, err := db.walkKeys(snap, coll, s, "", "")
	if err != nil {
		return errors.Join(err, snap.Close())
	}
	w.dropped = part.Dropped
	size := 0
	for err == nil && ctx.Err() == nil {
		key, found := w.next()
		if found && size+len(key) <= inventoryBytes {
			part.Keys = append(part.Keys, key)
			size += len(key) + 4
			continue
		}
		one := part
		if found {
			one.To = key
		}
		if err = emit(&one); !found {
			break
		}
		part.From, part.Keys, size = key, []string{key}, len(key)
	}
	return errors.Join(err, ctx.Err(), w.close(), snap.Close())
}

// BareInventory calls emit with the deletes alone whose tombstones were dropped, on the same condition. It is for who has nothing in
// the scope: nothing there can be gone, but what is written there has to win against those deletes.
func (db *DB) BareInventory(s id.Scope, known id.Vector, emit func(*delta.Inventory) error) error {
	bare, _ := db.forgotten(s)
	if known.Dominates(bare.Dropped) {
		return nil
	}
	bare.Bare = true
	return emit(&bare)
}

// forgotten begins an inventory with the deletes that it tells of, and returns the number of the collection. There are none where
// nobody has heard of the collection.
func (db *DB) forgotten(s id.Scope) (delta.Inventory, uint32) {
	db.mu.Lock()
	defer db.mu.Unlock()
	inv := delta.Inventory{Scope: s}
	coll := db.colls[s.Collection]
	if coll == nil {
		return inv, 0
	}
	inv.Dropped, inv.DroppedAt = coll.dropped, coll.droppedAt
	return inv, coll.num
}

// walkKeys walks the keys of rows and tombstones of a scope in order, from the first key on to before the last; an empty
// last is the end. The collection's own record counts as the key "".
func (db *DB) walkKeys(from kv.Reader, coll uint32, s id.Scope, first, last string) (*keyWalker, error) {
	w := &keyWalker{}
	for _, space := range []byte{spaceRow, spaceTomb} {
		if first == "" {
			_, err := from.Get(collKey(space, db.num, coll))
			if err == nil {
				w.own = true
			} else if !errors.Is(err, kv.ErrNotFound) {
				return nil, errors.Join(err, w.close())
			}
		}
		lo := rowKey(space, db.num, coll, max(first, s.Prefix))
		if len(lo) == collKeyLen {
			lo = append(lo, 0) // the key "" has been seen to
		}
		hi := kv.PrefixEnd(rowKey(space, db.num, coll, s.Prefix))
		if end := rowKey(space, db.num, coll, last); last != "" && bytes.Compare(end, hi) < 0 {
			hi = end
		}
		if bytes.Compare(lo, hi) >= 0 {
			continue
		}
		it, err := from.Iter(lo, hi)
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.its = append(w.its, it)
		w.ok = append(w.ok, it.First())
		w.dead = append(w.dead, space == spaceTomb)
	}
	return w, nil
}

// keyWalker merges what iterators over rows and tombstones find.
type keyWalker struct {
	its []*kv.Iter
	ok  []bool
	// dead tells those over tombstones.
	dead []bool
	own  bool
	// dropped are deletes whose tombstones are passed over.
	dropped id.Vector
}

func (w *keyWalker) next() (key string, found bool) {
	if w.own {
		w.own = false
		return "", true
	}
	least := -1
	for i, it := range w.its {
		for w.ok[i] && w.dead[i] && w.passes(it.Value()) {
			w.ok[i] = it.Next()
		}
		if w.ok[i] && (least < 0 || bytes.Compare(it.Key()[collKeyLen:], w.its[least].Key()[collKeyLen:]) < 0) {
			least = i
		}
	}
	if least < 0 {
		return "", false
	}
	key = string(w.its[least].Key()[collKeyLen:])
	w.ok[least] = w.its[least].Next()
	return key, true
}

// passes reports whether a tombstone is one of those that are passed over. One that cannot be read is not.
func (w *keyWalker) passes(tomb []byte) bool {
	if len(w.dropped) == 0 || contested(tomb) {
		return false
	}
	head, err := decodeHead(tomb)
	return err == nil && w.dropped.Covers(head.Version)
}

func (w *keyWalker) close() error {
	var errs []error
	for _, it := range w.its {
		errs = append(errs, it.Close())
	}
	return errors.Join(errs...)
}
