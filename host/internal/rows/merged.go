package rows

import (
	"bytes"
	"container/heap"
	"errors"
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Merger makes one value of those that were written concurrently to a row of a syncgroup's metadata: the one that was
// written last comes first, ancestor is what they were made from, nil if there is none that is known. It reports false to
// let the first of them win. It must be a pure function: devices that merge the same values must make the same value.
type Merger func(c id.Collection, key string, ancestor []byte, values [][]byte) ([]byte, bool)

// isMerged reports whether concurrent versions of the row are merged instead of one of them winning: so are the rows of a
// syncgroup's metadata, and access lists.
func isMerged(c id.Collection, key string) bool { return c.Kind == id.Syncgroup || key == "" }

// keep remembers a record that this transaction has put into the log, where it cannot be read yet.
func (t *txn) keep(rec *wire.Record, at hlc.Time) {
	if t.kept == nil {
		t.kept = map[id.Version]ancestor{}
	}
	t.kept[rec.Version] = ancestor{rec: *rec, time: at}
}

// mergeOpen writes a merged version, in a commit of this device, to each of the rows that take one, and returns the rows
// whose conflict is still open.
func (t *txn) mergeOpen(contested []*rowState, now hlc.Time) (left []*rowState, merged int, err error) {
	var todo []*rowState
	var values [][]byte
	for _, row := range contested {
		value, ok := []byte(nil), false
		if isMerged(row.coll.id, row.key) {
			if value, ok, err = t.mergedValue(row); err != nil {
				return nil, 0, err
			}
		}
		if !ok {
			left = append(left, row)
			continue
		}
		todo, values = append(todo, row), append(values, value)
		now = max(now, row.Time()+1)
	}
	for i, row := range todo {
		if i%wire.MaxCommitRecords == 0 {
			t.startCommit(true, t.db.writer, t.ownGen+1, uint64(min(len(todo)-i, wire.MaxCommitRecords)), now)
		}
		t.ownGen++
		rec := wire.Record{Version: id.Version{Writer: t.db.writer, Gen: t.ownGen}, Key: row.key, Value: values[i]}
		ancestry := row.Next(t.db.writer)
		rec.Parents, rec.Seen, rec.Beside = ancestry.Parents, ancestry.Seen, ancestry.Beside
		t.record(row.coll, row, &rec)
	}
	return left, len(todo), nil
}

// mergedValue merges the heads of a row. It reports false when one of the heads is to win: because all or the last have
// the merged value already, or because they cannot be merged.
func (t *txn) mergedValue(row *rowState) ([]byte, bool, error) {
	heads := row.Heads
	last := merge.LastWins(heads)
	values := [][]byte{heads[last].Value}
	same := true
	for i := range heads {
		if heads[i].Deleted || heads[i].Raw {
			return nil, false, nil
		}
		same = same && heads[i].SameContent(&heads[last])
		if i != last {
			values = append(values, heads[i].Value)
		}
	}
	if same {
		return nil, false, nil
	}
	base, err := t.commonAncestor(row.rowRef, heads)
	if err != nil {
		return nil, false, err
	}
	combine := Merger(mergeLists)
	if row.key != "" {
		combine = t.db.s.opts.Merge
	}
	if combine == nil {
		return nil, false, nil
	}
	value, ok := combine(row.coll.id, row.key, base, values)
	if !ok || len(value) > wire.MaxValueLen || bytes.Equal(value, values[0]) {
		return nil, false, nil
	}
	return value, true, nil
}

// mergeLists merges access lists of a collection.
func mergeLists(_ id.Collection, _ string, ancestor []byte, values [][]byte) ([]byte, bool) {
	base, err := perm.Parse(ancestor, perm.CollectionTags)
	if err != nil {
		base = nil
	}
	merged, err := perm.Parse(values[0], perm.CollectionTags)
	for _, v := range values[1:] {
		other, otherErr := perm.Parse(v, perm.CollectionTags)
		if err = errors.Join(err, otherErr); err != nil {
			return nil, false
		}
		merged = perm.Merge(base, merged, other)
	}
	return merged.Marshal(), err == nil
}

// maxAncestry bounds the records that are read in search of a common ancestor.
const maxAncestry = 10_000

// ancestor is a record in the search for a common ancestor.
type ancestor struct {
	rec  wire.Record
	time hlc.Time
	// from has a bit for each head that it is in the history of.
	from uint64
}

// commonAncestor returns the value of the nearest version that all of the heads were made from, nil when there is none or
// the log does not have it any more. A link stands for the version that won by it. It goes through the versions from the
// latest to the earliest, and what a version was made from is earlier.
func (t *txn) commonAncestor(ref rowRef, heads []history.Head) ([]byte, error) {
	if len(heads) > 64 {
		return nil, nil
	}
	s := search{txn: t, coll: ref.coll.num, found: map[id.Version]*ancestor{}}
	for i := range heads {
		if err := s.add(1<<i, append(slices.Clone(heads[i].Tips), heads[i].Version)); err != nil {
			return nil, err
		}
	}
	all := uint64(1)<<len(heads) - 1
	for len(s.queue) > 0 && len(s.found) < maxAncestry {
		a := heap.Pop(&s.queue).(*ancestor)
		if a.from == all && a.rec.Kind == wire.Put {
			return a.rec.Value, nil
		}
		if a.from == all && a.rec.Kind == wire.Delete {
			return nil, nil
		}
		parents := a.rec.Parents
		if a.from == all {
			parents = parents[:1]
		}
		if err := s.add(a.from, parents); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// search is the part of the version graph of a row that was looked at.
type search struct {
	*txn
	coll  uint32
	found map[id.Version]*ancestor
	queue ancestorQueue
}

// add notes that the versions are in the history of the heads of from.
func (s *search) add(from uint64, versions []id.Version) error {
	for _, v := range versions {
		a := s.found[v]
		if a == nil {
			a = &ancestor{}
			if kept, ok := s.kept[v]; ok {
				*a = kept
			} else {
				rec, h, err := s.db.logRecord(s.coll, v)
				if errors.Is(err, kv.ErrNotFound) {
					continue // reclaimed
				}
				if err != nil {
					return err
				}
				a.rec, a.time = rec, h.time
			}
			s.found[v] = a
			heap.Push(&s.queue, a)
		}
		a.from |= from
	}
	return nil
}

// ancestorQueue yields the latest first, and of equal times the greatest version.
type ancestorQueue []*ancestor

func (q ancestorQueue) Len() int { return len(q) }
func (q ancestorQueue) Less(i, j int) bool {
	if q[i].time != q[j].time {
		return q[i].time > q[j].time
	}
	return q[i].rec.Version.Compare(q[j].rec.Version) > 0
}
func (q ancestorQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *ancestorQueue) Push(x any)   { *q = append(*q, x.(*ancestor)) }
func (q *ancestorQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
