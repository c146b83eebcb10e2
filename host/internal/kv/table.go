package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/block/blockkind"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// table is a table of the store that is read by itself, past what is damaged in it: Pebble gives up at the first block that is
// not what was written.
type table struct {
	name string
	r    *sstable.Reader
	// file is what r reads, and spoiled is told of its damaged blocks; sums: whole can tell which they are.
	file    vfs.File
	spoiled *spoiled
	sums    bool
	// entries is how many keys were written to it, -1 if that cannot be told.
	entries int
	// gaps are what cannot be read, in order, and lie apart.
	gaps []gap
	// removals cannot be read: ranges of keys that were removed.
	removals error
}

// gap is where the keys after < key <= upTo of a table cannot be read; nil is no bound.
type gap struct {
	after, upTo []byte
	cause       error
}

// readerOptions are those of tables as this package writes them.
var readerOptions = func() sstable.ReaderOptions {
	o := &pebble.Options{}
	o.EnsureDefaults()
	return o.MakeReaderOptions()
}()

var errOldTable = errors.New("a form of table that is not known here")

// openTable opens a table and finds its gaps. An error means that nothing of it can be read.
func openTable(ctx context.Context, from knowingFS, dir, name string) (t *table, err error) {
	from.spoiled.forget(name)
	f, err := from.Open(from.PathJoin(dir, name))
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(ctx, readable, readerOptions)
	if err != nil {
		return nil, errors.Join(err, readable.Close())
	}
	t = &table{name: name, r: r, file: f, spoiled: from.spoiled, entries: -1}
	if t.gaps, err = t.findGaps(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if props, err := r.ReadPropertiesBlock(ctx, nil); err == nil {
		t.entries = int(props.NumEntries - props.NumRangeDeletions)
	}
	return t, ctx.Err()
}

func (t *table) close() error { return t.r.Close() }

// findGaps reads every block of the table.
func (t *table) findGaps(ctx context.Context) (gaps []gap, err error) {
	layout, err := t.r.Layout()
	if err != nil {
		return nil, err
	}
	if !layout.Format.BlockColumnar() {
		return nil, errOldTable
	}
	t.sums = sums(t.file, layout)
	var last []byte
	cut := false // the last block is in a gap, too
	visit := func(sep []byte, cause error) {
		switch {
		case cause == nil:
			cut = false
		case cut:
			gaps[len(gaps)-1].upTo = bytes.Clone(sep)
		default:
			gaps, cut = append(gaps, gap{after: last, upTo: bytes.Clone(sep), cause: cause}), true
		}
		last = bytes.Clone(sep)
	}
	for _, index := range layout.Index {
		if err := errors.Join(ctx.Err(), t.eachBlock(ctx, index, visit)); err != nil {
			return nil, err
		}
	}
	if layout.RangeDel.Length > 0 {
		t.removals = t.readBlock(ctx, layout.RangeDel, nil)
	}
	return gaps, nil
}

// eachBlock visits the blocks that an index names, with the last key that may be in each, and why it cannot be read.
func (t *table) eachBlock(ctx context.Context, index block.Handle, visit func(sep []byte, cause error)) error {
	return t.readBlock(ctx, index, func(data []byte) error {
		var it colblk.IndexIter
		if err := it.Init(pebble.DefaultComparer, data, sstable.NoTransforms); err != nil {
			return err
		}
		for ok := it.First(); ok; ok = it.Next() {
			h, err := it.BlockHandleWithProperties()
			if err != nil {
				return err
			}
			visit(it.Separator(), t.readBlock(ctx, h.Handle, nil))
		}
		return it.Close()
	})
}

func (t *table) readBlock(ctx context.Context, h block.Handle, use func(data []byte) error) error {
	if t.sums {
		ok, err := whole(t.file, h)
		if err == nil && !ok {
			t.spoiled.add(t.name, h)
			err = mismatch(h)
		}
		if err != nil || use == nil {
			return errors.Join(err, ctx.Err())
		}
	}
	noMetadata := func(*block.Metadata, []byte) error { return nil }
	b, err := t.r.BlockReader().Read(ctx, block.NoReadEnv, nil, h, blockkind.Metadata, noMetadata)
	if err != nil {
		return err
	}
	defer b.Release()
	if use == nil {
		return nil
	}
	return use(b.BlockData())
}

// write is a write as tables and logs keep it.
type write struct {
	key, value []byte
	seq        pebble.SeqNum
	// deleted: the key was removed.
	deleted bool
}

// removal is a range of keys that was removed: lo <= key < hi.
type removal struct {
	lo, hi []byte
	seq    pebble.SeqNum
}

// tableIter goes through what can be read of a table in the order of keys, the newest write of each key first.
type tableIter struct {
	t  *table
	it sstable.Iterator
	// met are the gaps that lie behind.
	met int
	// read counts entries.
	read int
	// at is valid until the next move.
	at write
}

func (t *table) iter() (*tableIter, error) {
	it, err := t.newIter()
	return &tableIter{t: t, it: it}, err
}

func (t *table) newIter() (sstable.Iterator, error) {
	return t.r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
}

// next moves on, to the first entry at first, and leaps over gaps. It reports false at the end.
func (i *tableIter) next() (_ bool, err error) {
	move := i.it.First
	if i.read > 0 || i.met > 0 {
		move = i.it.Next
	}
	at := move()
	for at == nil {
		if err = i.it.Error(); err == nil {
			return false, nil
		}
		if i.met == len(i.t.gaps) {
			return false, fmt.Errorf("%s: %w", i.t.name, err)
		}
		beyond := append(bytes.Clone(i.t.gaps[i.met].upTo), 0)
		i.met++
		_ = i.it.Close() // it says again that there is a gap
		if i.it, err = i.t.newIter(); err != nil {
			return false, err
		}
		at = i.it.SeekGE(beyond, 0)
	}
	i.read++
	i.at = write{key: at.K.UserKey, seq: at.SeqNum()}
	i.at.value, _, err = at.Value(nil)
	switch at.Kind() {
	case pebble.InternalKeyKindDelete, pebble.InternalKeyKindSingleDelete, pebble.InternalKeyKindDeleteSized:
		i.at.deleted = true
	}
	return err == nil, err
}

func (i *tableIter) close() {
	_ = i.it.Close() // what cannot be read was noted as a gap
}

// removed lists the ranges that were removed, as far as the table says.
func (t *table) removed(ctx context.Context) (list []removal) {
	if t.removals != nil {
		return nil
	}
	it, err := t.r.NewRawRangeDelIter(ctx, sstable.NoFragmentTransforms, sstable.ReadEnv{})
	if err != nil || it == nil {
		return nil
	}
	defer it.Close()
	for span, err := it.First(); span != nil && err == nil; span, err = it.Next() {
		if len(span.Keys) > 0 { // the newest comes first
			list = append(list, removal{lo: bytes.Clone(span.Start), hi: bytes.Clone(span.End), seq: span.Keys[0].SeqNum()})
		}
	}
	return list
}
