package rows

import (
	"errors"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Of a record that somebody has written on top of, that somebody knows the former name, and nobody the new one. To everybody else the
// renamed record would be beside what follows from it: a conflict that none was. So a renewal lays a link on each version of
// others that is current in a row with renamed records. It says that the version covers them.

// maxLinkWalk bounds how many records are looked at below a head.
const maxLinkWalk = 256

// public adds to seen what others say of former names in the version, whose name is not doubted, and in the links on top of it. Of the
// writer of the version itself there is nothing to add: a version covers what its writer made before, and nothing later. It reports
// whether the links of this device would not tell everybody of all of that.
func (r *renewal) public(coll *collection, v id.Version, tips []id.Version, seen id.Vector) (more bool, err error) {
	note := func(said id.Vector, told bool) {
		for _, p := range r.parts {
			if g := said[p.writer]; g > p.keep && seen[p.writer] < g && p.writer != v.Writer {
				seen[p.writer] = g
				more = more || !told
			}
		}
	}
	rec, _, err := r.db.logRecord(coll.num, v)
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return false, err
	}
	note(rec.Seen, true)
	walked := map[id.Version]bool{v: true}
	for queue := tips; len(queue) > 0 && len(walked) < maxLinkWalk; queue = queue[1:] {
		if walked[queue[0]] {
			continue
		}
		walked[queue[0]] = true
		rec, _, err := r.db.logRecord(coll.num, queue[0])
		if errors.Is(err, kv.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if _, own := r.name(queue[0]); !own {
			note(rec.Seen, rec.Kind == wire.Link)
		}
		if rec.Kind == wire.Link {
			queue = append(queue, rec.Parents...)
		}
	}
	return more, nil
}

// link lays a link of this device on each of the versions, which others made and which are on top of renamed records.
func (r *renewal) link(row *rowState, on []id.Version, in renamed) {
	row.remember()
	for _, v := range on {
		r.ownGen++
		rec := row.JoinSome(row.index(v), nil, row.key, id.Version{Writer: r.to, Gen: r.ownGen})
		rec.Parents = append(rec.Parents[:min(len(rec.Parents), wire.MaxParents-1)], id.Version{Writer: r.to, Gen: in.last})
		row.dirty = true
		r.links = append(r.links, laid{row, rec})
	}
}

// laid is a link and its row.
type laid struct {
	row *rowState
	rec wire.Record
}

// listLinks puts the links into the log, as commits of the new epoch.
func (r *renewal) listLinks() error {
	if len(r.links) == 0 {
		return nil
	}
	now := r.db.clock.Next(r.db.now())
	for part := range slices.Chunk(r.links, wire.MaxCommitRecords) {
		r.startCommit(true, r.to, part[0].rec.Version.Gen, uint64(len(part)), now)
		for i := range part {
			l := &part[i]
			l.row.logged(l.rec.Version, r.txn.log(l.row.coll, &l.rec))
		}
	}
	r.writeSequence()
	return nil
}

// adoptLinks counts the commits of the links once they are durable.
func (r *renewal) adoptLinks() {
	if len(r.commits) == 0 {
		return
	}
	r.db.seq += uint64(len(r.commits))
	r.db.past = r.past
	r.db.littered.Add(r.littered)
}
