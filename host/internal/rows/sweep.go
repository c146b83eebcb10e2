package rows

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// Bounds of one step of a sweep, during which the database accepts no commit.
const (
	// sweepRows is how many rows one step turns into tombstones, sweepLook how many it looks at.
	sweepRows = 1000
	sweepLook = 10_000
)

// keyLeftover begins the keys of databases that were destroyed and of which something is left to be swept.
var keyLeftover = []byte{spaceNode, 'd', 'r', 'o', 'p', 'p', 'e', 'd', '/'}

func leftoverKey(db uint32) []byte {
	return binary.BigEndian.AppendUint32(slices.Clone(keyLeftover), db)
}

// Sweeping is a collection whose destroyed rows are still being removed from the disk.
type Sweeping struct {
	Database   id.Name
	Collection id.Collection
}

// Sweeping lists what is left for Sweep, in order.
func (s *Store) Sweeping() []Sweeping {
	var list []Sweeping
	dbs, _ := s.Databases()
	for _, db := range dbs {
		for _, coll := range db.unswept() {
			list = append(list, Sweeping{Database: db.name, Collection: coll.id})
		}
	}
	return list
}

// unswept lists the collections that have buried rows on the disk.
func (db *DB) unswept() []*collection {
	db.mu.Lock()
	defer db.mu.Unlock()
	var list []*collection
	for _, coll := range db.colls {
		if len(coll.burial.hidden()) > 0 && !db.destroyed {
			list = append(list, coll)
		}
	}
	slices.SortFunc(list, func(a, b *collection) int { return cmp.Compare(a.num, b.num) })
	return list
}

// sweepSoon makes Sweep look again.
func (s *Store) sweepSoon() {
	select {
	case s.sweep <- struct{}{}:
	default: // it will look anyway
	}
}

// Sweep removes what destroyed collections and databases have left on the disk, in small steps, and waits for more until
// ctx ends. What it has not come to it finds again after a restart. It returns the error of ctx, or what the store said;
// then it may be called again. At most one Sweep at a time.
func (s *Store) Sweep(ctx context.Context) error {
	for {
		if err := s.sweepAll(ctx); err != nil {
			return err
		}
		select {
		case <-s.sweep:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Store) sweepAll(ctx context.Context) error {
	if err := s.sweepDropped(ctx); err != nil {
		return err
	}
	dbs, _ := s.Databases()
	for _, db := range dbs {
		for _, coll := range db.unswept() {
			if err := db.sweepCollection(ctx, coll); err != nil && !errors.Is(err, ErrDestroyed) {
				return err
			}
		}
	}
	return nil
}

// sweepDropped removes what upper rooms keep of the rows of databases that are gone.
func (s *Store) sweepDropped(ctx context.Context) error {
	it, err := s.kv.Iter(keyLeftover, kv.PrefixEnd(keyLeftover))
	if err != nil {
		return err
	}
	var keys [][]byte
	for ok := it.First(); ok; ok = it.Next() {
		keys = append(keys, slices.Clone(it.Key()))
	}
	if err := it.Close(); err != nil {
		return err
	}
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(key) != len(keyLeftover)+4 {
			return corrupt("name of a destroyed database", nil)
		}
		b := s.kv.NewBatch()
		b.Reclaims()
		b.Delete(key)
		if refs := s.opts.References; refs != nil {
			if err := refs.DropDatabase(b, binary.BigEndian.Uint32(key[len(keyLeftover):])); err != nil {
				b.Discard()
				return err
			}
		}
		if err := b.Commit(kv.Sync); err != nil {
			return writeError(err)
		}
	}
	return nil
}

func (db *DB) sweepCollection(ctx context.Context, coll *collection) error {
	for from := collKey(spaceRow, db.num, coll.num); from != nil; {
		err := ctx.Err()
		if err == nil {
			from, err = db.sweepStep(coll, from)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepStep sweeps some rows from a key on, and returns where to go on, nil at the end.
func (db *DB) sweepStep(coll *collection, from []byte) (next []byte, err error) {
	t, next, err := db.sweepLocked(coll, from)
	if err != nil || t == nil {
		return next, err
	}
	return next, writeError(t.b.Wait())
}

// sweepLocked applies a step. Readers see no difference: what it removes they have passed over since the collection was
// destroyed.
func (db *DB) sweepLocked(coll *collection, from []byte) (t *txn, next []byte, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, nil, err
	}
	t = db.begin()
	t.b.Reclaims()
	if next, err = t.sweep(coll, from); err != nil {
		t.b.Discard()
		return nil, nil, err
	}
	after := coll.burial
	if next == nil {
		after.swept = true
		t.b.Set(collKey(spaceBurial, db.num, coll.num), after.encode())
	}
	if t.b.Empty() {
		t.b.Discard()
		return nil, next, nil
	}
	mark := floorMark{floor: db.floor.Load(), past: db.behind, at: db.seq, used: uint64(int64(db.used) + t.grown)}
	t.b.Set(floorKey(db.num), mark.append(nil))
	if err := t.b.Apply(); err != nil {
		return nil, nil, writeError(err)
	}
	t.noteConflicts()
	db.used, coll.burial = mark.used, after
	db.standing.bytes += t.stands
	return t, next, nil
}

// sweep turns buried rows into tombstones, which wait until everybody knows of them.
func (t *txn) sweep(coll *collection, from []byte) (next []byte, err error) {
	it, err := t.db.s.kv.Iter(from, kv.PrefixEnd(collKey(spaceRow, t.db.num, coll.num)))
	if err != nil {
		return nil, err
	}
	looked := 0
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if looked++; looked > sweepLook || len(t.order) >= sweepRows {
			next = slices.Clone(it.Key())
			break
		}
		err = t.sweepRow(rowRef{coll, string(it.Key()[collKeyLen:])}, it.Value())
	}
	return next, errors.Join(err, it.Close())
}

func (t *txn) sweepRow(ref rowRef, data []byte) error {
	stored, err := decodeRow(ref.key, data)
	if err != nil || ref.key == "" || !t.reach(ref.coll).Covers(stored.Version) {
		return err
	}
	row, err := t.enroll(ref, slices.Clone(data), true)
	if err != nil {
		return err
	}
	row.dirty = true
	if len(row.Heads) == 1 {
		l := litter{coll: ref.coll.num, version: row.Heads[0].Version, tomb: true}
		t.b.Set(waitingKey(t.db.num, l), []byte{valueVersion})
	}
	return t.writeRow(row)
}
