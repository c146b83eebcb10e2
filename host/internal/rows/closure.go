package rows

import (
	"errors"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// MaxGroupRows bounds the rows of a group of conflicts, with those that are only drawn in. What is beyond it makes a group
// of its own.
const MaxGroupRows = 10_000

// MaxGroupBytes bounds the values of a group in the same way.
const MaxGroupBytes = 64 << 20

// batch is a commit as a closure sees it: its name is the version of its first record.
type batch struct {
	name  id.Version
	count uint64
	rows  []rowRef
}

// graphReader is what a closure is made from: a transaction, or the store.
type graphReader interface {
	// heads returns all heads of a row.
	heads(ref rowRef) ([]history.Head, error)
	// batchOf returns the commit that made a version, nil if that is no longer known.
	batchOf(coll *collection, v id.Version) (*batch, error)
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
	drawn   []groupRow
	batches map[id.Version]*batch
}

// closure returns the group of a row that is in conflict.
func closure(from graphReader, start rowRef) (*group, error) {
	g := &group{batches: map[id.Version]*batch{}}
	seen := map[rowRef]bool{start: true}
	for todo := []rowRef{start}; len(todo) > 0; todo = todo[1:] {
		row, err := loadGroupRow(from, todo[0])
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
			if b == nil || g.batches[b.name] != nil {
				continue
			}
			g.batches[b.name] = b
			for _, ref := range b.rows {
				if !seen[ref] && len(seen) < MaxGroupRows {
					seen[ref] = true
					todo = append(todo, ref)
				}
			}
		}
	}
	return g, nil
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
		t.last = &batch{name: name, count: c.count}
	}
	t.last.rows = append(t.last.rows, ref)
	t.batches[v] = t.last
}

// batchOf finds the commit among those that the transaction adds, or in the log.
func (t *txn) batchOf(coll *collection, v id.Version) (*batch, error) {
	if b := t.batches[v]; b != nil {
		return b, nil
	}
	return storedBatch(t.db, t.db.byNum, coll, v)
}

// storedBatch reads from the log which rows a commit wrote.
func storedBatch(db *DB, colls map[uint32]*collection, coll *collection, v id.Version) (*batch, error) {
	_, h, err := db.logRecord(coll.num, v)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b := &batch{name: id.Version{Writer: v.Writer, Gen: v.Gen - h.index}, count: h.count}
	if h.count == 1 {
		return b, nil
	}
	for _, other := range colls {
		if err := b.read(db, other); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// read adds the rows of the commit that lie in the collection.
func (b *batch) read(db *DB, coll *collection) error {
	end := id.Version{Writer: b.name.Writer, Gen: b.name.Gen + b.count}
	it, err := db.s.kv.Iter(logKey(db.num, coll.num, b.name), logKey(db.num, coll.num, end))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil && len(b.rows) <= MaxGroupRows; ok = it.Next() {
		var rec wire.Record
		if rec, _, err = decodeLogRecord(it.Value(), id.Version{Writer: b.name.Writer, Gen: logGen(it.Key())}); err == nil && rec.Kind != wire.Link {
			b.rows = append(b.rows, rowRef{coll, rec.Key})
		}
	}
	return errors.Join(err, it.Close())
}
