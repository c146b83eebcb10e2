package rows

import (
	"errors"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// MaxGroupRows bounds the rows of a group of conflicts, with those that are only drawn in. The largest batch fits, so that a
// group is cut only between batches; what is beyond it makes a group of its own.
const MaxGroupRows = wire.MaxCommitRecords

// MaxGroupBytes bounds the values of a group in the same way.
const MaxGroupBytes = 64 << 20

// batch is a commit as a closure sees it: its name is the version of its first record.
type batch struct {
	name  id.Version
	count uint64
	// rows are those that it wrote, as soon as loaded is set.
	rows   []rowRef
	loaded bool
}

// graphReader is what a closure is made from: a transaction, or the store.
type graphReader interface {
	// heads returns all heads of a row.
	heads(ref rowRef) ([]history.Head, error)
	// batchOf returns the commit that made a version, maybe without its rows; nil if it is no longer known.
	batchOf(coll *collection, v id.Version) (*batch, error)
	// load reads the rows of a commit, one of which lies in the collection.
	load(b *batch, coll *collection) error
}

// groupRow is a row of a group.
type groupRow struct {
	ref   rowRef
	heads []history.Head
	// batches are the commits that made the heads, each nil if that is not known.
	batches []*batch
}

// group is what has to be decided together: rows in conflict that share commits, directly or over others, and the rows
// that were written along with them.
type group struct {
	contested []groupRow
	// drawn are rows without a conflict.
	drawn []groupRow
	// batches are the names of the commits that made the heads in conflict.
	batches map[id.Version]bool
}

// walk finds groups. It comes to each row once, and reads each commit once, whatever the number of groups and of the rows
// that share a commit, so that it costs what the rows cost.
type walk struct {
	from graphReader
	seen map[rowRef]bool
	// stored are the commits that had to be loaded, by name.
	stored map[id.Version]*batch
	// next is how many rows of a commit the walk has come to.
	next map[*batch]int
}

func newWalk(from graphReader) *walk {
	return &walk{from: from, seen: map[rowRef]bool{}, stored: map[id.Version]*batch{}, next: map[*batch]int{}}
}

// closure returns the group of a row that is in conflict.
func closure(from graphReader, start rowRef) (*group, error) { return newWalk(from).group(start) }

// group returns the group of a row without what lies in those that were found before.
func (w *walk) group(start rowRef) (*group, error) {
	g := &group{batches: map[id.Version]bool{}}
	if w.seen[start] {
		return g, nil
	}
	w.seen[start] = true
	room := MaxGroupRows - 1
	for todo := []rowRef{start}; len(todo) > 0; todo = todo[1:] {
		row, err := loadGroupRow(w.from, todo[0])
		if err != nil {
			return nil, err
		}
		if len(row.heads) < 2 {
			if len(row.heads) > 0 {
				g.drawn = append(g.drawn, row)
			}
			continue
		}
		g.contested = append(g.contested, row)
		for _, b := range row.batches {
			if b == nil {
				continue
			}
			g.batches[b.name] = true
			more, err := w.beside(b, row.ref.coll, room)
			if err != nil {
				return nil, err
			}
			room -= len(more)
			todo = append(todo, more...)
		}
	}
	return g, nil
}

// beside returns rows of a commit that the walk comes to for the first time, at most so many.
func (w *walk) beside(b *batch, coll *collection, most int) (list []rowRef, err error) {
	if !b.loaded {
		if known := w.stored[b.name]; known != nil {
			b = known
		} else if err := w.from.load(b, coll); err != nil {
			return nil, err
		}
		w.stored[b.name] = b
	}
	for i := w.next[b]; i < len(b.rows) && len(list) < most; i++ {
		if ref := b.rows[i]; !w.seen[ref] {
			w.seen[ref] = true
			list = append(list, ref)
		}
		w.next[b] = i + 1
	}
	return list, nil
}

func loadGroupRow(from graphReader, ref rowRef) (groupRow, error) {
	heads, err := from.heads(ref)
	row := groupRow{ref: ref, heads: heads}
	for i := 0; i < len(heads) && err == nil; i++ {
		var b *batch
		b, err = from.batchOf(ref.coll, heads[i].Version)
		row.batches = append(row.batches, b)
	}
	return row, err
}

// choice returns who settles the group: the strictest of those who would settle its conflicts.
func (g *group) choice(p *merge.Policy) (c merge.Choice) {
	for i := range g.contested {
		row := &g.contested[i]
		c = c.Stricter(p.For(row.ref.coll.id, row.ref.key, row.heads))
	}
	return c
}

// heads returns the heads as they are in the transaction.
func (t *txn) heads(ref rowRef) ([]history.Head, error) {
	row, err := t.row(ref.coll, ref.key)
	if err != nil {
		return nil, err
	}
	return row.Heads, nil
}

// note remembers a row of the commit that the transaction is adding.
func (t *txn) note(c *learned, ref rowRef, v id.Version) {
	if t.db.policy.Settles() {
		return
	}
	if t.batches == nil {
		t.batches = map[id.Version]*batch{}
	}
	if name := (id.Version{Writer: c.writer, Gen: c.first}); t.last == nil || t.last.name != name {
		t.last = &batch{name: name, count: c.count, loaded: true}
	}
	t.last.rows = append(t.last.rows, ref)
	t.batches[v] = t.last
}

// batchOf finds the commit among those that the transaction adds, or in the log.
func (t *txn) batchOf(coll *collection, v id.Version) (*batch, error) {
	if b := t.batches[v]; b != nil {
		return b, nil
	}
	return storedBatch(t.db, coll, v)
}

func (t *txn) load(b *batch, coll *collection) error { return b.load(t.db, t.db.byNum, coll) }

// storedBatch learns from the log which commit made a version.
func storedBatch(db *DB, coll *collection, v id.Version) (*batch, error) {
	_, h, err := db.logRecord(coll.num, v)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &batch{name: id.Version{Writer: v.Writer, Gen: v.Gen - h.index}, count: h.count}, nil
}

// load reads from the log which rows the commit wrote. It looks first into the collection that is known to have some of
// them, and into the others only while some are lacking.
func (b *batch) load(db *DB, colls map[uint32]*collection, first *collection) error {
	b.loaded = true
	if b.count == 1 {
		return nil
	}
	left, err := b.read(db, first, b.count)
	for _, other := range colls {
		if err != nil || left == 0 {
			break
		}
		if other != first {
			left, err = b.read(db, other, left)
		}
	}
	return err
}

// read adds the rows of the commit that lie in the collection, and returns how many of its records are left to be found.
func (b *batch) read(db *DB, coll *collection, left uint64) (uint64, error) {
	end := id.Version{Writer: b.name.Writer, Gen: b.name.Gen + b.count}
	it, err := db.s.kv.Iter(logKey(db.num, coll.num, b.name), logKey(db.num, coll.num, end))
	if err != nil {
		return left, err
	}
	for ok := it.First(); ok && err == nil && left > 0 && len(b.rows) <= MaxGroupRows; ok = it.Next() {
		left--
		var rec wire.Record
		if rec, _, err = decodeLogRecord(it.Value(), id.Version{Writer: b.name.Writer, Gen: logGen(it.Key())}); err == nil && rec.Kind != wire.Link {
			b.rows = append(b.rows, rowRef{coll, rec.Key})
		}
	}
	return left, errors.Join(err, it.Close())
}
