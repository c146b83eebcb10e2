// Package history decides how a record changes what is known of a row: whether it is new, follows from what is there, or
// was written concurrently with it.
//
// Causality is decided by vectors alone, never by retained history: a version carries what its own history covers (Seen),
// so the log can be reclaimed without creating false conflicts. A version implicitly covers all earlier versions of its
// own writer, because a writer always writes on top of everything it holds.
//
// The package is a pure core: values in, values out. It does not choose winners (package merge does) and does not know
// where rows lie. Read State and State.Apply.
package history

import (
	"slices"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Head is a version that no other known version of the row follows from.
type Head struct {
	Version id.Version
	// Time of the write at its writer.
	Time    hlc.Time
	Deleted bool
	Raw     bool
	Type    string
	Value   []byte
	// Seen is what the version's history covers, other than its own writer's earlier versions. Links have been merged
	// into it.
	Seen id.Vector
	// Beside are versions that the head does not cover although Seen, or the order of its own writer, would: they were left
	// open beside it. Ascending; only those that no head covers.
	Beside []id.Version
	// Resolves are the parents of a version that somebody made to end a conflict between them, and Round is how often that
	// was tried before, counting itself; empty and 0 for any other.
	Resolves []id.Version
	Round    uint64
	// Tips are the links laid on top of the version, at most wire.MaxParents; empty when there are none. Whoever writes
	// next takes them as parents.
	Tips []id.Version
	// Aside are links laid on versions that the head follows from, by somebody who did not know of what followed. Nothing names
	// them as parents, so who shows what lost against the row's versions begins here, too; they decide nothing. The last maxAside.
	Aside []id.Version
}

// maxAside bounds Head.Aside.
const maxAside = 4

// covers reports whether v is the head's version or in its history.
func (h *Head) covers(v id.Version) bool {
	if slices.Contains(h.Beside, v) {
		return false
	}
	if v.Writer == h.Version.Writer {
		return v.Gen <= h.Version.Gen
	}
	return h.Seen.Covers(v)
}

// parents are the versions that whatever is made on top of the head names.
func (h *Head) parents() []id.Version {
	if len(h.Tips) > 0 {
		return h.Tips
	}
	return []id.Version{h.Version}
}

// SameContent reports whether both heads leave the row in the same state.
func (h *Head) SameContent(o *Head) bool {
	return h.Deleted == o.Deleted && h.Raw == o.Raw && h.Type == o.Type && string(h.Value) == string(o.Value)
}

// State is what is known of a row. The zero State is a row never heard of. More than one head is a conflict. A copy is
// independent: changes replace Heads and what hangs on it. Only room for a first head is used where it lies.
type State struct {
	Heads []Head
}

// Outcome says what a record did to a state.
type Outcome uint8

const (
	// Known: the state covered the record already; nothing changed.
	Known Outcome = iota
	// Advanced: the record's version is now a head, and nothing competes with it that did not before.
	Advanced
	// Conflicted: the record's version is now a head beside one that it neither follows nor precedes.
	Conflicted
	// Linked: a link gave a head more history.
	Linked
)

// Apply takes the record into the state. A link to a winner that the state does not know does nothing: conflict
// detection will come to its own conclusion when the winner arrives.
func (s *State) Apply(r *wire.Record, t hlc.Time) Outcome {
	if r.Kind == wire.Link {
		return s.applyLink(r)
	}
	for i := range s.Heads {
		if s.Heads[i].covers(r.Version) {
			return Known
		}
	}
	head := Head{
		Version: r.Version, Time: t, Deleted: r.Kind == wire.Delete,
		Raw: r.Raw, Type: r.Type, Value: r.Value, Seen: r.Seen, Beside: r.Beside,
	}
	if r.Round > 0 {
		head.Resolves, head.Round = r.Parents, r.Round
	}
	if len(s.Heads) == 0 {
		s.Heads = append(s.Heads, head)
		return Advanced
	}
	s.supersede(&head)
	s.Heads = append(s.Heads, head)
	s.tidy()
	if len(s.Heads) > 1 {
		return Conflicted
	}
	return Advanced
}

// applyLink gives every head that stems from the winner the history of the losers, which is what the link has seen and,
// implicitly, everything that the linking writer wrote to the row before it.
func (s *State) applyLink(r *wire.Record) Outcome {
	winner := r.Parents[0]
	outcome := Known
	s.Heads = slices.Clone(s.Heads)
	for i := range s.Heads {
		h := &s.Heads[i]
		if !h.covers(winner) {
			continue
		}
		before := h.past()
		if h.Version != winner && !before.covers(r.Version) {
			h.layAside(r.Version)
		}
		topped := h.Version == winner && h.addTip(r)
		if h.unite(before, past{r.Seen, []id.Version{r.Version}, r.Beside}) || topped {
			outcome = Linked
		}
	}
	s.dropCovered()
	s.tidy()
	return outcome
}

// addTip lays the link on the head, in place of the tips that it was itself laid on, and reports whether it did. A link
// that lies beneath another one is not laid again, in whatever order and however often they arrive; only for links of
// the head's own writer Seen cannot tell, so the last of them always stays.
func (h *Head) addTip(r *wire.Record) bool {
	own := func(v id.Version) bool { return v.Writer == h.Version.Writer }
	if !own(r.Version) && h.Seen.Covers(r.Version) {
		return false
	}
	for _, t := range h.Tips {
		if t.Writer == r.Version.Writer && t.Gen >= r.Version.Gen {
			return false
		}
	}
	tips := slices.DeleteFunc(slices.Clone(h.Tips), func(t id.Version) bool {
		return t.Writer == r.Version.Writer || !own(t) && r.Seen.Covers(t)
	})
	h.Tips = append(tips, r.Version)
	slices.SortFunc(h.Tips, id.Version.Compare)
	if len(h.Tips) > wire.MaxParents {
		least := slices.IndexFunc(h.Tips, func(t id.Version) bool { return !own(t) })
		h.Tips = slices.Delete(h.Tips, least, least+1)
	}
	return true
}

// layAside takes links aside that nothing names as parents.
func (h *Head) layAside(links ...id.Version) {
	list := slices.Clone(h.Aside)
	for _, v := range links {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	h.Aside = list[max(0, len(list)-maxAside):]
}

// follow takes over the history of a head that the head follows from.
func (h *Head) follow(o *Head) {
	if len(o.Aside) > 0 || len(o.Tips) > 0 {
		h.layAside(slices.Concat(o.Aside, slices.DeleteFunc(slices.Clone(o.Tips), h.covers))...)
	}
	h.inherit(o.past())
}

// supersede removes the heads that the new one follows from. It takes over what links had added to their history: a
// link holds for everything that stems from its winner, whichever of the two arrives first.
func (s *State) supersede(by *Head) {
	heads := make([]Head, 0, len(s.Heads)+1)
	for i := range s.Heads {
		if h := &s.Heads[i]; by.covers(h.Version) {
			by.follow(h)
		} else {
			heads = append(heads, *h)
		}
	}
	s.Heads = heads
}

// dropCovered removes heads that another head covers, which takes over their history. It works in place.
func (s *State) dropCovered() {
	heads := s.Heads
	for i := 0; i < len(heads) && len(heads) > 1; {
		h, covered := heads[i], false
		for j := range heads {
			if o := &heads[j]; i != j && o.covers(h.Version) && !h.covers(o.Version) {
				o.follow(&h)
				covered = true
			}
		}
		if covered {
			heads = slices.Delete(heads, i, i+1)
		} else {
			i++
		}
	}
	s.Heads = heads
}

// tidy orders the heads and forgets what is beside one but covered by another: between them they cover it, whatever
// becomes of them.
func (s *State) tidy() {
	slices.SortFunc(s.Heads, func(a, b Head) int { return a.Version.Compare(b.Version) })
	for i := range s.Heads {
		h := &s.Heads[i]
		if len(h.Beside) == 0 {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(h.Beside), func(v id.Version) bool {
			return slices.ContainsFunc(s.Heads, func(o Head) bool { return o.Version != v && o.covers(v) })
		})
		h.Beside = nonEmpty(kept)
	}
}

func nonEmpty(list []id.Version) []id.Version {
	if len(list) == 0 {
		return nil
	}
	return list
}

// Next returns the ancestry of a version about to be made by the writer on top of everything in the state.
func (s *State) Next(w id.Writer) Ancestry {
	all := make([]int, len(s.Heads))
	for i := range all {
		all[i] = i
	}
	return s.NextOn(w, all)
}

// Join makes the link record of version v by which the head at index winner wins over all others, of which there must be
// at least one, and applies it. Devices that join the same heads must choose the same winner, and a version that follows
// from others must win over them; a choice that other devices cannot repeat has to be written as a new version instead.
func (s *State) Join(winner int, key string, v id.Version) wire.Record {
	var losers []int
	for i := range s.Heads {
		if i != winner {
			losers = append(losers, i)
		}
	}
	return s.JoinSome(winner, losers, key, v)
}

// JoinSome is Join over some heads; those that are not among the losers stay open beside the winner.
func (s *State) JoinSome(winner int, losers []int, key string, v id.Version) wire.Record {
	won := &s.Heads[winner]
	parents := append([]id.Version{won.Version}, won.Tips...)
	for _, i := range losers {
		parents = append(parents, s.Heads[i].parents()...)
	}
	next := s.NextOn(v.Writer, append([]int{winner}, losers...))
	parents = parents[:min(len(parents), wire.MaxParents)]
	link := wire.Record{Version: v, Kind: wire.Link, Key: key, Parents: parents, Seen: next.Seen, Beside: next.Beside}
	s.applyLink(&link)
	return link
}

// Time returns the latest time of a head: whatever is made on top of the state has to be later, so that time never
// contradicts causality, however wrong a clock was.
func (s *State) Time() (t hlc.Time) {
	for i := range s.Heads {
		t = max(t, s.Heads[i].Time)
	}
	return t
}
