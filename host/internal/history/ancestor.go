package history

import (
	"cmp"
	"container/heap"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// maxWalk bounds how many records Ancestor looks at.
const maxWalk = 10_000

// Ancestor returns the nearest version that all the heads follow from, with links counted as ancestry: what lost against a
// version lies in its history. There is none if the heads have nothing in common, or if the records that would show it
// are no longer kept or lie too far back. Of several that are equally near it is the one that was written last. Record
// returns a record of the log with its time, or false.
func Ancestor(heads []Head, record func(id.Version) (wire.Record, hlc.Time, bool, error)) (v id.Version, found bool, err error) {
	w := walk{marks: map[id.Version]uint64{}, record: record}
	all := uint64(1)<<min(len(heads), 63) - 1
	for i := range heads[:min(len(heads), 63)] {
		for _, v := range append([]id.Version{heads[i].Version}, heads[i].Tips...) {
			if err := w.reach(v, 1<<i); err != nil {
				return id.Version{}, false, err
			}
		}
	}
	for n := 0; len(w.queue) > 0 && n < maxWalk; n++ {
		s := heap.Pop(&w.queue).(step)
		marks := w.marks[s.rec.Version]
		if marks == all {
			return w.winner(s.rec)
		}
		for _, p := range s.rec.Parents {
			if err := w.reach(p, marks); err != nil {
				return id.Version{}, false, err
			}
		}
	}
	return id.Version{}, false, nil
}

// walk goes back through the log, the latest record first. A record is later than what it follows from, so when one is
// taken it has been reached from all that follow from it.
type walk struct {
	// marks say, bit by bit, from which heads a version was reached.
	marks  map[id.Version]uint64
	queue  steps
	record func(id.Version) (wire.Record, hlc.Time, bool, error)
}

type step struct {
	rec wire.Record
	at  hlc.Time
}

func (w *walk) reach(v id.Version, marks uint64) error {
	if _, known := w.marks[v]; known {
		w.marks[v] |= marks
		return nil
	}
	rec, at, found, err := w.record(v)
	if err != nil || !found {
		return err
	}
	w.marks[v] = marks
	heap.Push(&w.queue, step{rec, at})
	return nil
}

// winner returns the version that a record stands for: a link stands for what won by it.
func (w *walk) winner(rec wire.Record) (id.Version, bool, error) {
	for n := 0; rec.Kind == wire.Link && n < maxWalk; n++ {
		next, _, found, err := w.record(rec.Parents[0])
		if err != nil || !found {
			return id.Version{}, false, err
		}
		rec = next
	}
	return rec.Version, true, nil
}

// steps is a heap with the latest record on top.
type steps []step

func (s steps) Len() int { return len(s) }
func (s steps) Less(i, j int) bool {
	if c := cmp.Compare(s[i].at, s[j].at); c != 0 {
		return c > 0
	}
	return s[i].rec.Version.Compare(s[j].rec.Version) > 0
}
func (s steps) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *steps) Push(x any)   { *s = append(*s, x.(step)) }
func (s *steps) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}
