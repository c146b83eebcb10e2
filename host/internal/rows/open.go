package rows

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/merge"
)

// ConflictRef names a row that is in conflict.
type ConflictRef struct {
	Collection id.Collection
	Key        string
}

// openIndex knows how many rows are in conflict, and which have changed.
type openIndex struct {
	// mu guards the fields below it.
	mu    sync.Mutex
	count int
	// overflow counts heads that were too many for their rows since the database was opened.
	overflow uint64
	// changed are the rows that came into conflict, or changed while they were, or were held together by one that has ended,
	// since the last TakeConflicts; with all set it may be any.
	changed map[ConflictRef]struct{}
	all     bool
}

// maxChanged bounds what openIndex remembers.
const maxChanged = 10_000

// loadOpenIndex counts the rows in conflict.
func (db *DB) loadOpenIndex() error {
	db.open.all = true
	prefix := dbKey(spaceOpen, db.num)
	it, err := db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	var last []byte
	for ok := it.First(); ok; ok = it.Next() {
		row := it.Key()[:max(len(it.Key())-openSuffixLen, 0)]
		if !bytes.Equal(row, last) {
			last = bytes.Clone(row)
			db.open.count++
		}
	}
	return it.Close()
}

// loadPolicy reads who settles conflicts. What an older program let pass and this one cannot read counts as no policy; a
// check of the store reports it.
func (db *DB) loadPolicy() error {
	schema, err := db.loadSchema()
	if err != nil || schema.Version == 0 {
		return err
	}
	if p, err := merge.ParsePolicy(schema.Policy, db.name.Owner); err == nil {
		db.policy = p
	}
	return nil
}

// loadOpen adds the heads of space 19 to a row.
func (r *rowState) loadOpen(db *DB, ref rowRef) error {
	r.open = map[id.Version][]byte{}
	return openHeads(db.s.kv, db.num, ref.coll.num, ref.key, func(h history.Head, data []byte) {
		r.open[h.Version] = data
		r.stored += len(openKey(db.num, ref.coll.num, ref.key, h.Version)) + len(data)
		r.insert(h)
	})
}

// insert adds a head in its place.
func (r *rowState) insert(h history.Head) {
	at, _ := slices.BinarySearchFunc(r.Heads, h.Version, func(o history.Head, v id.Version) int { return o.Version.Compare(v) })
	r.Heads = slices.Insert(r.Heads, at, h)
}

// openHeads visits the heads of a row that readers do not see. They alias data, which is theirs.
func openHeads(from kv.Reader, db, coll uint32, key string, visit func(h history.Head, data []byte)) error {
	prefix := openPrefix(db, coll, key)
	it, err := from.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		data := bytes.Clone(it.Value())
		var h history.Head
		if h, err = decodeHead(data); err == nil {
			visit(h, data)
		}
	}
	return errors.Join(err, it.Close())
}

// writeOpen puts the heads that readers do not see into space 19, as far as they are not there, and removes the others.
func (t *txn) writeOpen(ref rowRef, row *rowState) error {
	if len(row.Heads) == 1 && len(row.open) == 0 {
		return nil
	}
	shown, left := row.Heads[row.at()].Version, map[id.Version]bool{}
	for i := range row.Heads {
		h := &row.Heads[i]
		if h.Version == shown {
			continue
		}
		left[h.Version] = true
		key, data := openKey(t.db.num, ref.coll.num, ref.key, h.Version), appendHead(nil, h)
		t.grown += int64(len(key) + len(data))
		if old, found := row.open[h.Version]; found && bytes.Equal(old, data) {
			continue
		}
		t.b.Set(key, data)
		if err := t.indexOpen(ref, row.open[h.Version], h); err != nil {
			return err
		}
	}
	for v, old := range row.open {
		if left[v] {
			continue
		}
		t.b.Delete(openKey(t.db.num, ref.coll.num, ref.key, v))
		if err := t.indexOpen(ref, old, &history.Head{Version: v}); err != nil {
			return err
		}
	}
	return nil
}

// indexOpen tells those who keep references in values that an open head changed. They know it by the row's key, a byte 0
// and the version, so it counts as a row of its own whose key begins like the row's.
func (t *txn) indexOpen(ref rowRef, old []byte, h *history.Head) error {
	refs := t.db.s.opts.References
	if refs == nil || ref.key == "" || ref.coll.id.Kind != id.Rows {
		return nil
	}
	var before, after []byte
	if old != nil {
		if was, err := decodeHead(old); err == nil && !was.Deleted && !was.Raw {
			before = was.Value
		}
	}
	if !h.Deleted && !h.Raw {
		after = h.Value
	}
	if before == nil && after == nil {
		return nil
	}
	key := openKey(t.db.num, ref.coll.num, ref.key, h.Version)[collKeyLen:]
	return refs.IndexRow(t.b, t.db.num, ref.coll.num, string(key), before, after)
}

// noteConflicts takes note of the conflicts that an applied transaction opened, changed or ended.
func (t *txn) noteConflicts() {
	x := &t.db.open
	x.mu.Lock()
	defer x.mu.Unlock()
	x.overflow += uint64(t.overflow)
	var ended []*rowState
	for _, row := range t.order {
		if !row.dirty {
			continue
		}
		was, is := len(row.open) > 0, len(row.Heads) > 1
		switch {
		case is && !was:
			x.count++
		case was && !is:
			x.count--
			ended = append(ended, row)
		}
		if is {
			x.note(row.conflict())
		}
	}
	if x.count == 0 {
		return
	}
	beside, err := t.loosened(ended)
	if err != nil {
		x.all, x.changed = true, nil // what cannot be read is met again when all are gone through, and told there
	}
	for _, ref := range beside {
		x.note(ref)
	}
}

// note is called with mu held.
func (x *openIndex) note(ref ConflictRef) {
	if x.all || len(x.changed) >= maxChanged {
		x.all, x.changed = true, nil
		return
	}
	if x.changed == nil {
		x.changed = map[ConflictRef]struct{}{}
	}
	x.changed[ref] = struct{}{}
}

// OpenConflicts returns how many rows are in conflict, and how many versions were too many for their rows since the
// database was opened: they lost to the last writer.
func (db *DB) OpenConflicts() (rows int, overflow uint64) {
	db.open.mu.Lock()
	defer db.open.mu.Unlock()
	return db.open.count, db.open.overflow
}

// TakeConflicts returns the rows that came into conflict, or changed while they were, or lost another one that had to be decided
// with them, since it was last called; with all, any may have. It is for one caller, who is told by More when to ask again.
func (db *DB) TakeConflicts() (changed []ConflictRef, all bool) {
	x := &db.open
	x.mu.Lock()
	defer x.mu.Unlock()
	for ref := range x.changed {
		changed = append(changed, ref)
	}
	all = x.all
	x.changed, x.all = nil, false
	slices.SortFunc(changed, ConflictRef.Compare)
	return changed, all
}

// Compare orders rows by collection and key.
func (r ConflictRef) Compare(o ConflictRef) int {
	if c := r.Collection.Compare(o.Collection); c != 0 {
		return c
	}
	return bytes.Compare([]byte(r.Key), []byte(o.Key))
}

func (r ConflictRef) String() string { return describe(r.Collection, r.Key) }

// errNoConflict says that a row is not in conflict.
func errNoConflict(ref ConflictRef) error { return fmt.Errorf("%w: %s", ErrNoConflict, ref) }
