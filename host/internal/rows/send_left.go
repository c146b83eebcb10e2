package rows

import (
	"cmp"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Outgoing is a commit that is being sent. All of it is valid only during the call that hands it over.
type Outgoing struct {
	// Commit is encoded.
	Commit []byte
	// Records is how many it has.
	Records int
	// Left returns about how many records come after it, rather too many. It costs as much as the log has runs to go through, whatever
	// the number of records.
	Left func() uint64
}

// boundFrom is how many generations a run has to go through at least for it to be worth a look where it ends. A writer counts its
// records through all collections, so a run may end long before the generation up to which it was asked for.
const boundFrom = 256

// countLeft counts the generations that the runs have still to go through. One in several of them is one record, and counts once.
func (s *sender) countLeft() uint64 {
	rest := slices.Clone(s.runs)
	for _, r := range rest {
		s.bound(r)
	}
	slices.SortFunc(rest, func(a, b *run) int {
		return cmp.Or(a.writer.Compare(b.writer), cmp.Compare(a.gen, b.gen))
	})
	sum := uint64(len(s.mail.list))
	var writer id.Writer
	var counted uint64
	for _, r := range rest {
		if r.writer != writer {
			writer, counted = r.writer, 0
		}
		if from := max(r.gen, counted+1); from <= r.last {
			sum += r.last - from + 1
			counted = r.last
		}
	}
	return sum
}

// bound finds the last record of a run. If it cannot be read, sending will find out.
func (s *sender) bound(r *run) {
	if r.bounded || r.last-r.gen < boundFrom {
		return
	}
	r.bounded = true
	it, err := s.db.s.kv.Iter(
		logKey(s.db.num, r.num, id.Version{Writer: r.writer, Gen: r.gen}),
		append(logKey(s.db.num, r.num, id.Version{Writer: r.writer, Gen: r.last}), 0),
	)
	if err != nil {
		return
	}
	if it.Last() {
		r.last = logGen(it.Key())
	}
	_ = it.Close()
}
