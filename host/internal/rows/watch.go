package rows

import (
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// ErrMarker means that a resume marker does not name a point of this database's log.
var ErrMarker = errors.New("unknown resume marker")

// Change is a visible change of one row, or of the access list of a collection when the key is empty.
type Change struct {
	Collection id.Collection
	Key        string
	Deleted    bool
	Value      []byte
	Raw        bool
	Type       string
	// Version is zero for a delete of which nothing is known but that it happened, while this device was away.
	Version id.Version
	Time    hlc.Time
}

// Batch is what became visible together.
type Batch struct {
	// Seq is where the log goes on after the batch: the resume marker.
	Seq      uint64
	FromSync bool
	// Name is the version of the first record of the commit.
	Name    id.Version
	Changes []Change
}

// ReadLog visits the durable batches after the marker, in order, until visit returns false, and returns the marker after
// the last one visited. Batches without a change that passes the filter are passed over but counted in the marker. A nil
// filter lets everything pass.
func (db *DB) ReadLog(after uint64, filter func(c id.Collection, key string) bool, visit func(Batch) (bool, error)) (uint64, error) {
	if err := db.Err(); err != nil {
		return after, err
	}
	end := db.Published().Seq
	if after > end {
		return after, fmt.Errorf("%w: %d lies beyond the end of the log, %d", ErrMarker, after, end)
	}
	if after == end {
		return after, nil
	}
	if err := db.tooOld(after, nil); err != nil {
		return after, err
	}
	next, err := db.readCommits(after, end, func(seq uint64, l *learned) (bool, error) {
		batch := Batch{Seq: seq, FromSync: l.fromSync, Name: id.Version{Writer: l.writer, Gen: l.first}}
		var err error
		if batch.Changes, err = db.changes(l, filter); err != nil || len(batch.Changes) == 0 {
			return true, err
		}
		return visit(batch)
	})
	if errors.Is(err, kv.ErrNotFound) {
		err = db.tooOld(next, err)
	}
	return next, err
}

// readCommits visits the commits after the marker up to end until visit returns false, and returns the marker after the
// last one visited.
func (db *DB) readCommits(after, end uint64, visit func(seq uint64, l *learned) (bool, error)) (uint64, error) {
	it, err := db.s.kv.Iter(dbKey(spaceSeq, db.num), seqKey(db.num, end+1))
	if err != nil {
		return after, err
	}
	ok := it.SeekLT(seqKey(db.num, after+2))
	if !ok {
		ok = it.First()
	}
	for more := true; ok && more && err == nil; ok = it.Next() {
		var first uint64
		if first, err = seqOf(it.Key()); err != nil {
			break
		}
		var commits []learned
		if _, commits, _, err = decodeSeq(it.Value()); err != nil {
			break
		}
		for i := range commits {
			seq := first + uint64(i)
			if seq <= after {
				continue
			}
			if more = seq <= end; !more {
				break
			}
			if more, err = visit(seq, &commits[i]); err != nil {
				break
			}
			after = seq
			if !more {
				break
			}
		}
	}
	return after, errors.Join(err, it.Close())
}

func (db *DB) changes(l *learned, filter func(id.Collection, string) bool) ([]Change, error) {
	list := make([]Change, 0, len(l.changes))
	for _, ch := range l.changes {
		c, found := db.CollectionByNum(ch.coll)
		if !found {
			return nil, corrupt("commit sequence", fmt.Errorf("collection %d", ch.coll))
		}
		if c.Kind != id.Rows {
			continue
		}
		if ch.gone {
			if filter == nil || filter(c, ch.key) {
				list = append(list, Change{Collection: c, Key: ch.key, Deleted: true, Time: l.time})
			}
			continue
		}
		rec, head, err := db.logRecord(ch.coll, ch.version)
		if err != nil {
			return nil, err
		}
		if filter != nil && !filter(c, rec.Key) {
			continue
		}
		list = append(list, Change{
			Collection: c, Key: rec.Key, Deleted: rec.Kind == wire.Delete, Value: rec.Value, Raw: rec.Raw, Type: rec.Type,
			Version: rec.Version, Time: head.time,
		})
		if ch.buried {
			last := &list[len(list)-1]
			last.Deleted, last.Value, last.Raw, last.Type = true, nil, false, ""
		}
	}
	return list, nil
}

// logRecord reads one record of the log.
func (db *DB) logRecord(coll uint32, v id.Version) (wire.Record, logHeader, error) {
	data, err := db.s.kv.Get(logKey(db.num, coll, v))
	if err != nil {
		return wire.Record{}, logHeader{}, fmt.Errorf("log record %s: %w", v, err)
	}
	return decodeLogRecord(data, v)
}

// decodeLogRecord reads the log record of a version; it aliases data.
func decodeLogRecord(data []byte, v id.Version) (wire.Record, logHeader, error) {
	h, body, err := decodeLog(data)
	if err != nil {
		return wire.Record{}, h, err
	}
	rec, err := wire.DecodeBody(body, v)
	if err != nil {
		return rec, h, corrupt("log record "+v.String(), err)
	}
	return rec, h, nil
}

// ScanSnapshot visits the existing rows of the scopes, in order, as they were at one moment, and returns the marker
// from which ReadLog goes on without a gap or a repeat. The marker may lie a moment ahead of what is durable: whoever
// hands it out waits until Published has reached it.
func (db *DB) ScanSnapshot(scopes []id.Scope, visit func(c id.Collection, r *RowView) error) (uint64, error) {
	db.mu.Lock()
	err := db.alive()
	seq := db.seq
	snap := db.s.kv.Snapshot()
	colls := make([]present, len(scopes))
	for i, s := range scopes {
		if coll := db.colls[s.Collection]; coll != nil && coll.perms != nil {
			colls[i] = coll.present()
		}
	}
	db.mu.Unlock()
	for i, s := range scopes {
		if err != nil || colls[i].num == 0 {
			continue
		}
		lo, hi := db.bounds(colls[i].num, ScanRange{Prefix: s.Prefix})
		err = colls[i].scan(snap, lo, hi, false, func(r *RowView) (bool, error) { return true, visit(s.Collection, r) })
	}
	return seq, errors.Join(err, snap.Close())
}
