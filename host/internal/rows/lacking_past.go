package rows

import (
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// A link has no place in the sums: only what it leaves of a row has. Who lost one still has versions that lost by it, beside the one that
// won. So it asks for the winner with the history that it has at the peer, and lays a link of its own.

// lacksPast reports whether a peer that lists the version, and others of the row, may know that it won over one that is open here.
func (r *rowState) lacksPast(v delta.RowVersion, listed []delta.RowVersion) bool {
	if len(r.Heads) < 2 || r.index(v.Version) < 0 {
		return false
	}
	return slices.ContainsFunc(r.Heads, func(h history.Head) bool {
		return !slices.ContainsFunc(listed, func(o delta.RowVersion) bool { return o.Key == v.Key && o.Version == h.Version })
	})
}

// outcome takes note of what a record that is here says of others which are: those in its history lose against it.
func (r *receiver) outcome(row *rowState, rec *wire.Record) {
	past := history.Head{Version: rec.Version, Seen: rec.Seen, Beside: rec.Beside}
	l := link{row: row, winner: rec.Version}
	for i := range row.Heads {
		if v := row.Heads[i].Version; v != rec.Version && stems(&past, v) {
			l.losers = append(l.losers, v)
		}
	}
	if len(l.losers) > 0 && row.index(rec.Version) >= 0 {
		r.outcomes = append(r.outcomes, l)
	}
}

// layOutcomes makes the links of what was noted, as far as it is still so.
func (r *receiver) layOutcomes() {
	open := r.outcomes[:0]
	for _, l := range r.outcomes {
		l.losers = slices.DeleteFunc(l.losers, func(v id.Version) bool { return l.row.index(v) < 0 })
		if len(l.losers) > 0 && l.row.index(l.winner) >= 0 {
			open = append(open, l)
		}
	}
	if len(open) > 0 {
		r.got.Records += len(open)
		r.writeLinks(open, r.db.clock.Next(r.db.now()))
	}
}
