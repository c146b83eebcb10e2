package rows

import (
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

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

// forsake drops a row that a link says lost against a version which was deleted here, and whose delete was forgotten. The delete would have won
// against the row, too. It goes without a record, as it does at a device that was away.
func (r *receiver) forsake(coll *collection, row *rowState, link *wire.Record) {
	if link.Kind != wire.Link || len(link.Parents) == 0 || len(row.Heads) == 0 || len(coll.dropped) == 0 || coll.id.Kind != id.Rows || row.key == "" {
		return
	}
	// What wins is later than what loses, and its delete is later still.
	since := func(h history.Head) bool { return h.Time >= coll.droppedAt }
	if !r.applied(coll, row.key, link.Parents[0]) || slices.ContainsFunc(row.Heads, since) || !row.Lost(link) {
		return
	}
	if row.visible {
		r.list(change{coll: coll.num, gone: true, key: row.key})
	}
	row.Heads, row.dirty, row.shown, row.visible = nil, true, id.Version{}, false
}

// applied reports whether a version is known, and not as a part of a letter.
func (r *receiver) applied(coll *collection, key string, v id.Version) bool {
	within := func(l *Letter) bool {
		return l.Writer == v.Writer && l.Least <= v.Gen && slices.Contains(l.Collections, coll.id)
	}
	if slices.ContainsFunc(r.db.letters.list, within) || slices.ContainsFunc(r.letters.added, within) {
		return false
	}
	return r.know.Holds(coll.id, key, v)
}
