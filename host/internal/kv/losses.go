package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// Loss is something of a store that cannot be read any more.
type Loss struct {
	// File that it lies in, or should lie in.
	File  string
	Cause string
	// After and UpTo bound the keys: After < key <= UpTo; both are nil where nothing is known of them.
	After, UpTo []byte
	// Writes that were lost, at most, some of which may have been superseded long ago; -1 where that cannot be told.
	Writes int
	// beyond is a key up to which the file cannot be read, if that is not UpTo.
	beyond []byte
}

// bound is the part of a table that belongs to the store: lo <= key < hi; nil is no bound.
type bound struct{ lo, hi []byte }

func (b bound) has(key []byte) bool {
	return bytes.Compare(key, b.lo) >= 0 && (b.hi == nil || bytes.Compare(key, b.hi) < 0)
}

// listed is a table as the manifest knows it.
type listed struct {
	// parts of it belong to the store.
	parts []bound
	// smallest and largest are its first and last key.
	smallest, largest []byte
	// seq is the sequence number of all writes in it, where they have none of their own: it entered the store as a table.
	seq pebble.SeqNum
}

// tablesOf lists the tables of an open store by their files.
func tablesOf(db *pebble.DB) (map[string]*listed, error) {
	levels, err := db.SSTables()
	if err != nil {
		return nil, err
	}
	tables := map[string]*listed{}
	for _, level := range levels {
		for _, info := range level {
			name := tableName(uint64(info.BackingSSTNum))
			t := tables[name]
			if t == nil {
				t = &listed{smallest: info.Smallest.UserKey, largest: info.Largest.UserKey}
				tables[name] = t
			}
			part := bound{}
			if info.Virtual {
				part = bound{lo: info.Smallest.UserKey, hi: info.Largest.UserKey}
				if !info.Largest.IsExclusiveSentinel() {
					part.hi = append(bytes.Clone(part.hi), 0)
				}
				t.smallest, t.largest = least(t.smallest, info.Smallest.UserKey), most(t.largest, info.Largest.UserKey)
			}
			t.parts = append(t.parts, part)
			if info.SmallestSeqNum == info.LargestSeqNum {
				t.seq = info.LargestSeqNum
			}
		}
	}
	return tables, nil
}

// causeOf is what Pebble says, without the number that it gives to a table that is opened by itself.
func causeOf(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "the file is gone"
	}
	text := strings.TrimPrefix(err.Error(), "pebble: file 000000: ")
	text = strings.TrimSuffix(text, fmt.Sprintf(" (%v)", pebble.ErrCorruption))
	return strings.Replace(strings.TrimPrefix(text, "pebble/table: "), "invalid table 000000: ", "", 1)
}

func least(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return a
	}
	return b
}

func most(a, b []byte) []byte {
	if bytes.Compare(a, b) > 0 {
		return a
	}
	return b
}

// Losses reads every table of the store and reports what cannot be read, while the store may be in use. What cannot be read
// of the log keeps a store from being opened; see LossesIn. It tells how many of the tables it has read, unless told is nil.
func (s *Store) Losses(ctx context.Context, told func(tables, of int)) ([]Loss, error) {
	tables, err := tablesOf(s.db)
	if err != nil {
		return nil, err
	}
	var all []Loss
	for i, name := range sortedNames(tables) {
		if told != nil {
			told(i, len(tables))
		}
		losses, err := tableLosses(ctx, s.fs, s.dir, name, tables[name])
		if err != nil {
			return all, err
		}
		if len(losses) == 0 {
			continue
		}
		// A compaction may have removed it meanwhile.
		if now, err := tablesOf(s.db); err != nil || now[name] == nil {
			continue
		}
		all = append(all, losses...)
	}
	return all, nil
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// tableLosses opens a table for what it has lost.
func tableLosses(ctx context.Context, from knowingFS, dir, name string, as *listed) ([]Loss, error) {
	t, err := openTable(ctx, from, dir, name)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return []Loss{wholeTable(name, as, err)}, nil
	}
	losses, err := t.losses(as)
	return losses, errors.Join(err, t.close())
}

// wholeTable is the loss of a table; as is nil where it cannot be told what was in it.
func wholeTable(name string, as *listed, cause error) Loss {
	l := Loss{File: name, Cause: causeOf(cause), Writes: -1}
	if as != nil {
		l.After, l.UpTo = before(as.smallest), as.largest
	}
	return l
}

// before is about the last key that is less than key.
func before(key []byte) []byte {
	if len(key) == 0 {
		return nil
	}
	b := bytes.Clone(key)
	if b[len(b)-1] == 0 {
		return b[:len(b)-1]
	}
	b[len(b)-1]--
	return append(b, 0xff, 0xff)
}

// losses counts what is missing.
func (t *table) losses(as *listed) ([]Loss, error) {
	if len(t.gaps) == 0 && t.removals == nil {
		return nil, nil
	}
	it, err := t.iter()
	if err != nil {
		return nil, err
	}
	defer it.close()
	for ok := true; ok; {
		if ok, err = it.next(); err != nil {
			return nil, err
		}
	}
	return t.lossesAfter(it.read, as), nil
}

// lossesAfter lists the gaps when it is known how many entries could be read.
func (t *table) lossesAfter(read int, as *listed) []Loss {
	var list []Loss
	for _, g := range t.gaps {
		l := Loss{beyond: g.upTo, File: t.name, Cause: causeOf(g.cause), After: g.after, UpTo: g.upTo, Writes: -1}
		if as != nil && as.largest != nil {
			l.UpTo = least(g.upTo, as.largest)
		}
		if len(t.gaps) == 1 && t.entries >= 0 {
			l.Writes = t.entries - read
		}
		list = append(list, l)
	}
	if t.removals != nil {
		list = append(list, Loss{File: t.name, Cause: "which ranges were removed cannot be read, so some of that may be back: " + causeOf(t.removals), Writes: -1})
	}
	return list
}

// Around returns the reader without what was lost: iterators leap over it, forwards, and of each loss only the first look that
// comes upon it asks the store, since Pebble tries for long to make sense of a block that is damaged. What newer files have of
// the same keys counts as lost from then on.
func Around(r Reader, losses []Loss) Reader {
	if len(losses) == 0 {
		return r
	}
	a := around{Reader: r}
	for _, l := range losses {
		if l.UpTo != nil {
			a.dark = append(a.dark, &darkness{file: l.File, lo: l.After, hi: append(bytes.Clone(most(l.UpTo, l.beyond)), 0)})
		}
	}
	slices.SortFunc(a.dark, func(x, y *darkness) int { return bytes.Compare(x.hi, y.hi) })
	for _, d := range a.dark {
		a.beyond = append(a.beyond, d.hi)
	}
	return a
}

// Partial reports whether something is missing from a reader.
func Partial(r Reader) bool {
	_, is := r.(around)
	return is
}

type around struct {
	Reader
	// beyond are the keys after each loss, in order; dark are the losses in the same order.
	beyond [][]byte
	dark   []*darkness
}

// darkness is a loss: lo < key < hi.
type darkness struct {
	file   string
	lo, hi []byte
	// met: somebody has looked there in vain.
	met atomic.Bool
}

// Get implements Reader.
func (a around) Get(key []byte) ([]byte, error) {
	i, _ := slices.BinarySearchFunc(a.beyond, key, func(hi, key []byte) int {
		if bytes.Compare(hi, key) <= 0 {
			return -1
		}
		return 1
	})
	if i == len(a.dark) || bytes.Compare(a.dark[i].lo, key) >= 0 {
		return a.Reader.Get(key)
	}
	d := a.dark[i]
	if d.met.Load() {
		return nil, fmt.Errorf("%w: %s", ErrDamaged, d.file)
	}
	value, err := a.Reader.Get(key)
	if errors.Is(err, ErrDamaged) {
		d.met.Store(true)
	}
	return value, err
}

// Iter implements Reader.
func (a around) Iter(lo, hi []byte) (*Iter, error) {
	it, err := a.Reader.Iter(lo, hi)
	if err == nil {
		it.beyond, it.last, it.hi = a.beyond, bytes.Clone(lo), bytes.Clone(hi)
	}
	return it, err
}
