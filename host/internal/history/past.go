package history

import (
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// past is a set of versions of one row: those that seen covers and, for each version of upTo, those of its writer up to it,
// without those that are beside. Whatever a head or a link covers is such a set.
type past struct {
	seen   id.Vector
	upTo   []id.Version
	beside []id.Version
}

func (p *past) covers(v id.Version) bool {
	return !slices.Contains(p.beside, v) && p.spans(v)
}

// spans reports whether the set would have v if nothing were beside it.
func (p *past) spans(v id.Version) bool {
	return p.seen.Covers(v) || slices.ContainsFunc(p.upTo, func(u id.Version) bool {
		return u.Writer == v.Writer && u.Gen >= v.Gen
	})
}

// past is what a version made on top of the head covers.
func (h *Head) past() past {
	return past{h.Seen, append([]id.Version{h.Version}, h.Tips...), h.Beside}
}

// inherit adds to what the head covers and reports whether that was more than before.
func (h *Head) inherit(p past) (grown bool) { return h.unite(h.past(), p) }

// unite is inherit for a head that covered own. Seen and Beside may be shared with other states, so they are replaced,
// never changed.
func (h *Head) unite(own, p past) (grown bool) {
	grown = h.openUp(own, p)
	fresh := false
	add := func(v id.Version) {
		if v.Writer == h.Version.Writer || h.Seen.Covers(v) {
			return
		}
		if !fresh {
			h.Seen, fresh = h.Seen.Clone(), true
		}
		h.Seen.Add(v)
	}
	for w, g := range p.seen {
		add(id.Version{Writer: w, Gen: g})
	}
	for _, v := range p.upTo {
		add(v)
	}
	return grown || fresh
}

// openUp sets what is beside the head once it has inherited the set: what was beside either of them and is covered by
// neither. It reports whether the head covers versions now that were beside it.
func (h *Head) openUp(own, p past) (closed bool) {
	if len(h.Beside) == 0 && len(p.beside) == 0 {
		return false
	}
	var beside []id.Version
	for _, v := range h.Beside {
		if p.covers(v) {
			closed = true
		} else {
			beside = append(beside, v)
		}
	}
	for _, v := range p.beside {
		if !own.covers(v) {
			beside = append(beside, v)
		}
	}
	slices.SortFunc(beside, id.Version.Compare)
	h.Beside = slices.Compact(beside)
	return closed
}

// Ancestry is where a new version comes from.
type Ancestry struct {
	// Parents are the versions it is made from, with links on top of them. Of more than wire.MaxParents only the first are
	// named: what the version covers is said by Seen, and Seen is complete.
	Parents []id.Version
	Seen    id.Vector
	// Beside are versions that stay open although Seen, or the order of the writer, covers them.
	Beside []id.Version
}

// NextOn returns the ancestry of a version about to be made by the writer on top of the heads at these indices; the others
// stay open beside it.
func (s *State) NextOn(w id.Writer, on []int) Ancestry {
	var a Ancestry
	for _, i := range on {
		h := &s.Heads[i]
		a.Parents = append(a.Parents, h.parents()...)
		if len(h.Seen) > 0 || len(h.Tips) > 0 || h.Version.Writer != w {
			if a.Seen == nil {
				a.Seen = id.Vector{}
			}
			a.Seen.Merge(h.Seen)
			a.Seen.Add(h.Version)
			for _, t := range h.Tips {
				a.Seen.Add(t)
			}
		}
	}
	delete(a.Seen, w)
	a.Parents = a.Parents[:min(len(a.Parents), wire.MaxParents)]
	a.Beside = s.beside(w, on, a.Seen)
	return a
}

// beside returns what a version of the writer on top of the heads at these indices, which covers seen, does not cover all
// the same: the other heads, and what none of these heads covers.
func (s *State) beside(w id.Writer, on []int, seen id.Vector) (list []id.Version) {
	for i := range s.Heads {
		h := &s.Heads[i]
		if !slices.Contains(on, i) {
			if h.Version.Writer == w || seen.Covers(h.Version) {
				list = append(list, h.Version)
			}
			continue
		}
		for _, v := range h.Beside {
			if !slices.ContainsFunc(on, func(i int) bool { return s.Heads[i].covers(v) }) {
				list = append(list, v)
			}
		}
	}
	slices.SortFunc(list, id.Version.Compare)
	return slices.Compact(list)
}

// KeepApart lets every head stay beside each other one, also where what a head covers has been made more than it was.
func (s *State) KeepApart() {
	for i := range s.Heads {
		h := &s.Heads[i]
		for j := range s.Heads {
			if v := s.Heads[j].Version; i != j && h.covers(v) {
				h.Beside = append(slices.Clone(h.Beside), v)
				slices.SortFunc(h.Beside, id.Version.Compare)
			}
		}
	}
}
