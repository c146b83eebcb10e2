package rows

import "github.com/syncbase/syncbase/host/internal/wire"

// revive brings a tombstone back that was dropped here, when a link says that its delete won against something that this
// device took for new since. It comes as a commit of its own, as it came the first time.
func (r *receiver) revive(coll *collection, row *rowState, link *wire.Record) {
	if link.Kind != wire.Link || len(link.Parents) == 0 {
		return
	}
	winner := link.Parents[0]
	if !coll.dropped.Covers(winner) || !r.know.Holds(coll.id, link.Key, winner) {
		return
	}
	del, lost := row.Revive(link)
	if !lost {
		return
	}
	under := r.commits[len(r.commits)-1]
	under.changes = nil
	r.startCommit(true, winner.Writer, winner.Gen, 1, under.time)
	r.record(coll, row, &del)
	r.startCommit(true, under.writer, under.first, under.count, under.time)
}
