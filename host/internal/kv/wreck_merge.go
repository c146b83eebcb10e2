package kv

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// readLogs adds the logs. Those whose content is in tables already are spare: one of these may be lost.
func (w *wreck) readLogs(ctx context.Context) error {
	names, err := w.filesLike(".log")
	last := pebble.SeqNum(0) // where the log before ended
	for _, name := range names {
		number, is := logNumber(name)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if !is {
			continue
		}
		c, err := readLogFile(w.fs, w.fs.PathJoin(w.dir, name), number)
		if err != nil {
			w.report(Loss{File: name, Cause: err.Error(), Writes: -1})
			continue
		}
		if c.to == 0 {
			continue
		}
		if number >= w.firstLog {
			maps.Copy(w.entered, c.tables)
			if last > 0 && c.from > last {
				c.holes = append(c.holes, hole{last, c.from})
			}
			if n := w.missing(c.holes); n > 0 {
				w.report(Loss{File: name, Cause: "writes in the log, or between it and the one before, cannot be read", Writes: n})
			}
			last = c.to
		}
		spare := number < w.firstLog
		if spare {
			w.spareRemovals = append(w.spareRemovals, c.removals...)
		} else {
			w.removals = append(w.removals, c.removals...)
		}
		slices.SortStableFunc(c.entries, func(a, b write) int { return cmp.Or(bytes.Compare(a.key, b.key), cmp.Compare(b.seq, a.seq)) })
		if err := w.start(&logSource{entries: c.entries, number: number, isSpare: spare}); err != nil {
			return err
		}
	}
	return err
}

// missing counts the writes in holes; tables that entered the store took numbers, too.
func (w *wreck) missing(holes []hole) (n int) {
	for _, h := range holes {
		n += int(h.to - h.from)
		for _, t := range w.tables {
			if t.seq >= h.from && t.seq < h.to {
				n--
			}
		}
	}
	return n
}

func (w *wreck) start(src source) error {
	ok, err := src.next()
	if ok {
		w.sources = append(w.sources, src)
	}
	return err
}

// merge visits the newest write of each key, in order, unless that removed it. Then it reports what was missing.
func (w *wreck) merge(visit func(write) error) error {
	heap.Init(&w.sources)
	removed, spare := newRanges(w.removals), newRanges(w.spareRemovals)
	marked := uint64(0)
	for len(w.sources) > 0 {
		key := bytes.Clone(w.sources[0].entry().key)
		lost := w.isLost(key)
		e, found, err := w.newest(key, lost)
		if err != nil {
			return err
		}
		gone := removed.newest(key)
		if s := spare.newest(key); lost && e.seq > 0 {
			gone = max(gone, s)
		}
		if !found || e.deleted || e.seq < gone {
			continue
		}
		if bytes.Equal(key, markKey) {
			marked = decodeNumber(e.value)
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	for _, it := range w.iters {
		for _, l := range it.t.lossesAfter(it.read, w.tables[it.t.name]) {
			w.report(l)
		}
	}
	if marked < w.want.number {
		w.report(Loss{File: "log", Cause: "its end, with writes that were acknowledged, is lost", Writes: -1})
	}
	return nil
}

// newest moves all sources on that stand on the key, and returns its newest write. Spare sources count where something is
// lost: elsewhere the tables have all that is in them, and may have newer writes that have lost their numbers.
func (w *wreck) newest(key []byte, lost bool) (e write, found bool, err error) {
	for len(w.sources) > 0 && bytes.Equal(w.sources[0].entry().key, key) {
		first := w.sources[0]
		if !found && (lost || !first.spare()) {
			e, found = first.entry(), true
			e.key, e.value = key, bytes.Clone(e.value)
		}
		ok, err := first.next()
		if err != nil {
			return e, found, err
		}
		if ok {
			heap.Fix(&w.sources, 0)
		} else {
			heap.Pop(&w.sources)
		}
	}
	return e, found, nil
}

// isLost reports whether a table that cannot be read may have had the key.
func (w *wreck) isLost(key []byte) bool {
	return slices.ContainsFunc(w.lost, func(l Loss) bool {
		return bytes.Compare(key, l.After) > 0 && bytes.Compare(key, l.UpTo) <= 0
	})
}

// ranges are removed ranges in the order of their beginnings, to be asked about ascending keys.
type ranges struct {
	list   []removal
	active []removal
}

func newRanges(list []removal) ranges {
	slices.SortFunc(list, func(a, b removal) int { return bytes.Compare(a.lo, b.lo) })
	return ranges{list: list}
}

// newest returns the number of the last removal that covers the key, 0 for none.
func (r *ranges) newest(key []byte) (seq pebble.SeqNum) {
	for len(r.list) > 0 && bytes.Compare(r.list[0].lo, key) <= 0 {
		r.active, r.list = append(r.active, r.list[0]), r.list[1:]
	}
	r.active = slices.DeleteFunc(r.active, func(a removal) bool { return bytes.Compare(a.hi, key) <= 0 })
	for _, a := range r.active {
		seq = max(seq, a.seq)
	}
	return seq
}
