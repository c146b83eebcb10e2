package rows

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Lacks returns those of the versions, which a peer has as current, that this device neither has nor follows from, and
// those under whose names it has something else; and with Past those that may have won, for the peer, over others that are open
// here. What the peer has of a row is to be in one list, or is asked for in vain.
func (db *DB) Lacks(c id.Collection, list []delta.RowVersion) ([]delta.RowVersion, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, err
	}
	coll := db.colls[c]
	if coll == nil {
		return list, nil
	}
	t := db.begin()
	defer t.b.Discard()
	var lacking []delta.RowVersion
	for _, v := range list {
		row, err := t.row(coll, v.Key)
		if err != nil {
			return nil, err
		}
		if absent := len(row.Heads) == 0; absent && (v.Deleted || coll.dropped.Covers(v.Version)) {
			continue
		}
		if v.Past = row.lacksPast(v, list); v.Past || row.lacks(v) {
			lacking = append(lacking, v)
		}
	}
	return lacking, nil
}

func (r *rowState) lacks(v delta.RowVersion) bool {
	at := slices.IndexFunc(r.Heads, func(h history.Head) bool { return h.Version == v.Version })
	if at >= 0 {
		return r.Heads[at].Time != v.Time
	}
	// A version that nothing follows from would become another head.
	state := history.State{Heads: slices.Clone(r.Heads)}
	return state.Apply(&wire.Record{Version: v.Version, Key: v.Key}, v.Time) != history.Known
}

// Records visits the records of the versions of rows, each as an encoded commit; what is not there is passed over, and so is
// what lies outside of the scopes.
func (db *DB) Records(ctx context.Context, scopes []id.Scope, c id.Collection, list []delta.RowVersion, emit func(commit []byte) error) error {
	num, known := db.CollectionNum(c)
	if err := db.Err(); err != nil || !known {
		return err
	}
	var e wire.CommitEncoder
	for _, v := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		rec, h, err := db.versionRecord(num, v)
		if v.Past {
			rec, h, err = db.pastRecord(num, v)
		}
		if errors.Is(err, kv.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(scopes, func(s id.Scope) bool { return s.Has(c, rec.Key) }) {
			continue
		}
		e.Begin(v.Version.Writer, v.Version.Gen-h.index, h.count, h.time)
		e.Add(c, v.Version.Gen, wire.AppendBody(nil, &rec))
		if err := emit(e.Append(nil)); err != nil {
			return err
		}
	}
	return nil
}

// versionRecord returns the record of a version, from the row where the log no longer has it.
func (db *DB) versionRecord(num uint32, v delta.RowVersion) (wire.Record, logHeader, error) {
	rec, h, err := db.logRecord(num, v.Version)
	if !errors.Is(err, kv.ErrNotFound) {
		return rec, h, err
	}
	return db.pastRecord(num, v)
}

// pastRecord returns the record of a version that the row has: it stands alone, and has for history what the row has, with what
// links have added.
func (db *DB) pastRecord(num uint32, v delta.RowVersion) (rec wire.Record, h logHeader, err error) {
	data, err := storedRow(db.s.kv, db.num, num, v.Key)
	if err != nil {
		return rec, h, err
	}
	heads, err := appendHeads(nil, db.s.kv, db.num, num, v.Key, data)
	at := slices.IndexFunc(heads, func(h history.Head) bool { return h.Version == v.Version })
	if err != nil || at < 0 {
		return rec, h, first(err, kv.ErrNotFound)
	}
	head := &heads[at]
	rec = wire.Record{Version: v.Version, Raw: head.Raw, Key: v.Key, Seen: head.Seen, Beside: head.Beside, Type: head.Type, Value: head.Value}
	if head.Deleted {
		rec.Kind = wire.Delete
	}
	return rec, logHeader{count: 1, time: head.Time}, nil
}

// namesake is a record that has the name of another one here.
type namesake struct {
	e    *wire.Entry
	time hlc.Time
	// mine is what has the name here, zero if that is in another row.
	mine history.Head
}

// lacking reports whether a record that was asked for by name has to be taken. One whose name means something else here is
// put aside.
func (r *receiver) lacking(e *wire.Entry, c *wire.Commit) (bool, error) {
	v, coll := e.Record.Version, r.db.colls[e.Collection]
	if v.Writer == r.db.writer {
		if v.Gen > r.ownGen {
			return false, r.setBack(v.Gen)
		}
		if coll == nil {
			return false, nil
		}
		row, err := r.row(coll, e.Record.Key)
		if err == nil {
			r.outcome(row, &e.Record)
		}
		return false, err // for the rest, examining witnesses is for that
	}
	if coll == nil {
		return true, r.check(e)
	}
	row, err := r.row(coll, e.Record.Key)
	if err != nil {
		return false, err
	}
	for i := range row.Heads {
		if h := row.Heads[i]; h.Version == v && h.Time != c.Time {
			r.twice = append(r.twice, namesake{e: e, time: c.Time, mine: h})
			return false, nil
		}
	}
	if !row.lacks(delta.RowVersion{Key: e.Record.Key, Version: v, Time: c.Time}) {
		r.outcome(row, &e.Record)
		r.got.Duplicates++
		return false, nil
	}
	rec, h, err := r.db.logRecord(coll.num, v)
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return true, r.check(e)
	case err != nil:
		return false, err
	case recordDigest(e.Collection, &rec, h) != recordDigest(e.Collection, &e.Record, logHeader{index: v.Gen - c.First, count: c.Count, time: c.Time}):
		r.twice = append(r.twice, namesake{e: e, time: c.Time}) // another row has the name
		return false, nil
	}
	return false, fmt.Errorf("%w: the log has version %s of %s, and the row does not follow from it", ErrCorrupt, v, describe(e.Collection, rec.Key))
}

// rewrite ends that a name means two things: the later one of both contents is written again, on top of them and under a
// name of this device. The other side may do the same; equal contents are no conflict.
func (r *receiver) rewrite() error {
	if len(r.twice) == 0 {
		return nil
	}
	at := r.db.clock.Next(r.db.now())
	for i := range r.twice {
		at = max(at, r.twice[i].time+1, r.twice[i].mine.Time+1)
	}
	r.startCommit(true, r.db.writer, r.ownGen+1, uint64(len(r.twice)), at)
	for i := range r.twice {
		n := &r.twice[i]
		row, err := r.row(r.db.colls[n.e.Collection], n.e.Record.Key)
		if err != nil {
			return err
		}
		if n.e.Record.Kind == wire.Put {
			r.got.Fresh = append(r.got.Fresh, Arrival{Collection: n.e.Collection, Record: &n.e.Record})
		}
		r.ownGen++
		rec := wire.Record{Version: id.Version{Writer: r.db.writer, Gen: r.ownGen}, Key: n.e.Record.Key}
		next := row.Next(r.db.writer)
		rec.Parents, rec.Seen, rec.Beside = next.Parents, next.Seen, next.Beside
		if rec.Seen == nil {
			rec.Seen = id.Vector{}
		}
		rec.Seen.Add(n.e.Record.Version)
		if theirs := &n.e.Record; n.theirsWins() {
			rec.Kind, rec.Raw, rec.Type, rec.Value = theirs.Kind, theirs.Raw, theirs.Type, theirs.Value
		} else {
			rec.Raw, rec.Type, rec.Value = n.mine.Raw, n.mine.Type, n.mine.Value
			if n.mine.Deleted {
				rec.Kind = wire.Delete
			}
		}
		r.record(row.coll, row, &rec)
		r.got.Records++
		r.got.Conflicts++
	}
	return nil
}

// theirsWins is the same on both sides: the later one wins, of equally late ones the greater content.
func (n *namesake) theirsWins() bool {
	if n.time != n.mine.Time {
		return n.time > n.mine.Time
	}
	return bytes.Compare(n.e.Record.Value, n.mine.Value) > 0
}

// inLog reports whether a record is in the log already, although knowledge does not say so: it was taken by name.
func (t *txn) inLog(coll *collection, v id.Version) bool {
	_, err := t.db.s.kv.Get(logKey(t.db.num, coll.num, v))
	return err == nil
}
