package rows

import (
	"errors"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// ErrNotWhole means that a commit cannot be given up on this device, because it does not have all of it or of what was there
// before.
var ErrNotWhole = errors.New("cannot be given up here")

// ErrNoLetter means that no refused commit has the number.
var ErrNoLetter = errors.New("no such refused commit")

// Discarded says what giving up a commit came to.
type Discarded struct {
	// Commit is the version of the first record that was given up, of Records.
	Commit  id.Version
	Records int
	// Written are the rows that were written for it; the others had been written again since.
	Written int
}

// discard is what an operation gives up: one record, on top of which the row gets other content.
type discard struct {
	record wire.Record
	time   hlc.Time
	// back: the row gets the content before, which was the parent's; otherwise the row stays as this device shows it.
	back   bool
	before wire.Record
}

// DiscardLetter gives up a commit that this device refuses, for everybody: each of its rows is written again as it is here, in
// one commit that follows from the one that is given up, so that it wins wherever that was taken. The letter is gone with it.
// Vectors go on to cover what was given up, and whoever lacks it gets what was written in its place, so nothing differs that
// was level. Errors: ErrNoLetter, ErrNotWhole, ErrFrozen, ErrInvalid, what guard returns, and those of a store.
func (db *DB) DiscardLetter(number uint64, guard Guard) (Discarded, error) {
	t, p, done, err := db.discardLetter(number, guard)
	if err != nil || t == nil {
		return done, err
	}
	return done, t.finish(p)
}

func (db *DB) discardLetter(number uint64, guard Guard) (*txn, Published, Discarded, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, Published{}, Discarded{}, err
	}
	i := db.letters.find(number)
	if i < 0 {
		return nil, Published{}, Discarded{}, fmt.Errorf("%w: %d in %s", ErrNoLetter, number, db.name)
	}
	l := db.letters.list[i]
	c, err := db.letterCommit(l)
	if err != nil {
		return nil, Published{}, Discarded{}, err
	}
	if uint64(len(c.Records)) < c.Count {
		return nil, Published{}, Discarded{}, fmt.Errorf("%w: %d of the %d records of the commit were refused, the rest is elsewhere or was taken; give it up where all of it is, or write its rows",
			ErrNotWhole, len(c.Records), c.Count)
	}
	ops := make([]Op, 0, len(c.Records))
	for j := range c.Records {
		e := &c.Records[j]
		ops = append(ops, Op{Collection: e.Collection, Key: e.Record.Key, discard: &discard{record: e.Record, time: c.Time}})
	}
	t := db.begin()
	written, err := t.discard(ops, guard)
	if err != nil {
		t.b.Discard()
		return nil, Published{}, Discarded{}, err
	}
	// The rows are as large as they were, so what is here fits, however small the quota.
	t.puts = false
	t.dropLetter(l)
	done := Discarded{Commit: id.Version{Writer: l.Writer, Gen: l.Least}, Records: l.Records, Written: written}
	if len(t.commits) == 0 {
		return nil, Published{}, done, t.applyLetters(db.know)
	}
	p, err := t.apply(db.know)
	return t, p, done, err
}

// GiveUp takes back a commit that is in the rows here and that others refuse: each row whose current version is of it gets the
// content that it had before, or is deleted if there was none, all in one commit. It is known by the version of any of its
// records. Errors: ErrNotWhole, ErrFrozen, ErrQuota, what guard returns, and those of a store.
func (db *DB) GiveUp(v id.Version, guard Guard) (Discarded, error) {
	t, p, done, err := db.giveUp(v, guard)
	if err != nil || t == nil {
		return done, err
	}
	return done, t.finish(p)
}

func (db *DB) giveUp(v id.Version, guard Guard) (*txn, Published, Discarded, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, Published{}, Discarded{}, err
	}
	c, err := db.loggedCommit(v)
	if err != nil {
		return nil, Published{}, Discarded{}, err
	}
	if uint64(len(c.Records)) < c.Count && v.Writer.Device != db.writer.Device {
		return nil, Published{}, Discarded{}, fmt.Errorf("%w: %d of the %d records of %s are here; give it up where all of it is, or write its rows",
			ErrNotWhole, len(c.Records), c.Count, v)
	}
	t := db.begin()
	ops, err := t.takingBack(c)
	written := 0
	if err == nil {
		written, err = t.discard(ops, guard)
	}
	done := Discarded{Commit: v, Records: len(c.Records), Written: written}
	if err != nil || len(t.commits) == 0 {
		t.b.Discard()
		return nil, Published{}, done, err
	}
	p, err := t.apply(db.know)
	return t, p, done, err
}

// loggedCommit returns what the log has of the commit that a version is of.
func (db *DB) loggedCommit(v id.Version) (wire.Commit, error) {
	c := wire.Commit{Writer: v.Writer}
	for _, coll := range db.colls {
		_, h, err := db.logRecord(coll.num, v)
		if errors.Is(err, kv.ErrNotFound) {
			continue
		}
		if err != nil {
			return c, err
		}
		c.First, c.Count, c.Time = v.Gen-h.index, h.count, h.time
	}
	if c.Count == 0 {
		return c, fmt.Errorf("%w: the log has no record %s", ErrNotWhole, v)
	}
	return c, db.eachOfCommit(c.Writer, c.First, c.Count, func(coll *collection, rec wire.Record) error {
		c.Records = append(c.Records, wire.Entry{Collection: coll.id, Record: rec})
		return nil
	})
}

// eachOfCommit visits what the log has of a commit; the records do not alias the store.
func (db *DB) eachOfCommit(w id.Writer, first, count uint64, visit func(*collection, wire.Record) error) error {
	for _, coll := range db.colls {
		lo := logKey(db.num, coll.num, id.Version{Writer: w, Gen: first})
		hi := logKey(db.num, coll.num, id.Version{Writer: w, Gen: first + count})
		it, err := db.s.kv.Iter(lo, hi)
		if err != nil {
			return err
		}
		for ok := it.First(); ok && err == nil; ok = it.Next() {
			var rec wire.Record
			if rec, _, err = decodeLogRecord(slices.Clone(it.Value()), id.Version{Writer: w, Gen: logGen(it.Key())}); err == nil {
				err = visit(coll, rec)
			}
		}
		if err := errors.Join(err, it.Close()); err != nil {
			return err
		}
	}
	return nil
}

// takingBack are the operations that give rows the content before a commit, where it is still the last word. Where another version
// is shown beside what the commit wrote, that stays.
func (t *txn) takingBack(c wire.Commit) ([]Op, error) {
	var ops []Op
	for i := range c.Records {
		e := &c.Records[i]
		coll := t.db.colls[e.Collection]
		row, err := t.row(coll, e.Record.Key)
		if err != nil {
			return nil, err
		}
		op := Op{Collection: e.Collection, Key: e.Record.Key}
		switch at := row.index(e.Record.Version); {
		case e.Record.Kind == wire.Link:
			op.discard = takingBackLink(row, &e.Record)
		case at >= 0:
			op.discard = &discard{record: e.Record, time: c.Time, back: true, before: row.shownRecord()}
			if at == row.at() {
				op.discard.before, err = t.db.contentBefore(coll, &e.Record)
			}
		}
		if err != nil {
			return nil, err
		}
		if op.discard != nil {
			ops = append(ops, op)
		}
	}
	return ops, nil
}

// contentBefore returns the record whose content a version replaced: of several parents the latest.
func (db *DB) contentBefore(coll *collection, rec *wire.Record) (wire.Record, error) {
	latest, at := wire.Record{Kind: wire.Delete}, hlc.Time(0)
	for _, parent := range rec.Parents {
		p, h, err := db.logRecord(coll.num, parent)
		for err == nil && p.Kind == wire.Link {
			p, h, err = db.logRecord(coll.num, p.Parents[0])
		}
		if errors.Is(err, kv.ErrNotFound) {
			return latest, fmt.Errorf("%w: what %s had before is not kept any more; write or delete it instead", ErrNotWhole, describe(coll.id, rec.Key))
		}
		if err != nil {
			return latest, err
		}
		if h.time >= at {
			latest, at = p, h.time
		}
	}
	return latest, nil
}

// discard writes the operations as one commit, unless they change nothing, and returns how many rows that were.
func (t *txn) discard(ops []Op, guard Guard) (written int, err error) {
	if len(ops) == 0 {
		return 0, nil
	}
	versions, err := t.add(ops, func(t *txn, colls []*collection, ops []Op) error {
		size := 0
		for i := range ops {
			if coll := colls[i]; coll.perms != nil && guard != nil {
				kind := OpPut
				if ops[i].Key == "" {
					kind = OpList
				}
				if err := guard(coll.id, coll.perms, kind); err != nil {
					return err
				}
			}
			row, err := t.row(colls[i], ops[i].Key)
			if err != nil {
				return err
			}
			if err := ops[i].fill(row); err != nil {
				return err
			}
			if size += len(ops[i].Value); size > MaxBatchBytes {
				return fmt.Errorf("%w: its rows have more than %d bytes, which is too much to write at once", ErrNotWhole, MaxBatchBytes)
			}
		}
		return t.db.thawed(ops)
	})
	if err == nil && t.contested {
		_, err = t.settle(t.db.clock.Next(t.db.now()))
	}
	for _, v := range versions {
		if !v.IsZero() {
			written++
		}
	}
	return written, err
}

// fill sets the content that the row gets.
func (op *Op) fill(row *rowState) error {
	from := row.live()
	if op.discard.back {
		before := &op.discard.before
		from = &history.Head{Deleted: before.Kind == wire.Delete, Value: before.Value, Raw: before.Raw, Type: before.Type}
	}
	op.Kind = OpDelete
	if from != nil && !from.Deleted {
		op.Kind, op.Value, op.Raw, op.Type = OpPut, from.Value, from.Raw, from.Type
	}
	if op.Kind == OpDelete && op.Key == "" {
		return fmt.Errorf("%w: that would destroy %s, which was made by it", ErrNotWhole, op.Collection)
	}
	return nil
}

// needless reports whether the row follows from what is given up already, or has other content by now.
func (d *discard) needless(row *rowState) bool {
	if d.back {
		return false // takingBack has seen to it
	}
	if d.record.Kind == wire.Link {
		return d.needlessLink(row)
	}
	state := history.State{Heads: slices.Clone(row.Heads)}
	return state.Apply(&d.record, d.time) == history.Known
}

// ancestry is that of a version on top of what readers see and of the record that is given up.
func (d *discard) ancestry(row *rowState, w id.Writer) history.Ancestry {
	state := history.State{Heads: slices.Clone(row.Heads)}
	shown := id.Version{}
	if len(row.Heads) > 0 {
		shown = row.Heads[row.at()].Version
	}
	state.Apply(&d.record, d.time)
	link := d.record.Kind == wire.Link
	var on []int
	for i := range state.Heads {
		h := &state.Heads[i]
		if h.Version == shown || h.Version == d.record.Version || link && stems(h, d.record.Parents[0]) {
			on = append(on, i)
		}
	}
	a := state.NextOn(w, on)
	if link && d.record.Version.Writer != w {
		if a.Seen == nil {
			a.Seen = id.Vector{}
		}
		a.Seen.Add(d.record.Version) // of a link by the winner's writer the state does not tell
	}
	return a
}
