package history

import (
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Revive returns the delete that a link made to win, if that is why no head of the state covers the winner: its tombstone
// was dropped, while somebody who still had it settled a conflict between it and what the state has now. The caller knows
// that the winner was there. It reports false when some head covers the winner, and when the link leaves a head open: then
// somebody else will say how that ends.
func (s *State) Revive(link *wire.Record) (wire.Record, bool) {
	if !s.Lost(link) {
		return wire.Record{}, false
	}
	winner, seen := link.Parents[0], link.Seen.Clone()
	delete(seen, winner.Writer)
	return wire.Record{Version: winner, Kind: wire.Delete, Key: link.Key, Seen: seen}, true
}

// Lost reports whether the link made a version win that no head of the state covers, and everything that the state has lose.
func (s *State) Lost(link *wire.Record) bool {
	covered := past{seen: link.Seen, upTo: []id.Version{link.Version}, beside: link.Beside}
	for i := range s.Heads {
		if h := &s.Heads[i]; h.covers(link.Parents[0]) || !covered.covers(h.Version) {
			return false
		}
	}
	return true
}
