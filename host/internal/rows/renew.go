package rows

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Bounds of what others can make a database do by showing it what it has not made.
const (
	// renewPause is how long after the first renewal since the start proof of another one is refused; it doubles with each, up
	// to renewPause << maxRenewals.
	renewPause  = 10 * time.Second
	maxRenewals = 8
	// maxFormer bounds the former epochs of a database.
	maxFormer = 4096
)

// Renewed says what a renewal did.
type Renewed struct {
	From, To id.Writer
	// Renamed is how many records, made since the device was set back, have names of the new epoch now.
	Renamed int
}

// Renew makes this device another writer in the database, after proof that it was set back to an earlier state: the names
// of its records after proof.Sure may mean something else to others. In one atomic step it takes a new epoch, all of those
// records get new names in it, and the device forgets that it has made the others, so that what it really wrote under
// those names before comes back from whoever holds it. Nothing that was written here is lost, and readers see no change
// but the versions. Errors: ErrRefused, when that happens too often to be true.
func (db *DB) Renew(proof *SetBackError) (Renewed, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return Renewed{}, err
	}
	made, mine := db.madeHere()[proof.Shown.Writer]
	if !mine || proof.Shown.Writer != db.writer && proof.Shown.Gen > made {
		return Renewed{From: db.writer, To: db.writer}, nil // an earlier renewal has seen to it
	}
	now := db.s.opts.Now()
	if db.renewedWithin(renewPause<<min(max(db.renewals, 1)-1, maxRenewals), now) || len(db.rec.Former) >= maxFormer {
		return Renewed{}, fmt.Errorf("%w: %w; it has become another writer %d times since its start, the last time just now, and will not do so at once again",
			ErrRefused, proof, db.renewals)
	}
	return db.renewSince(id.Version{Writer: proof.Shown.Writer, Gen: min(proof.Sure, made)}, now)
}

// Renew makes this device another writer in every database, and in those to come, without proof that something went wrong
// already: because it was copied, say. What it has written keeps its names. A database that was renewed just now is left
// alone.
func (s *Store) Renew() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := id.Writer{Device: s.writer.Device, Epoch: newEpoch(s.opts.Random(), s.writer.Epoch)}
	b := s.kv.NewBatch()
	b.Set(keyWriter, wire.AppendWriter(nil, next))
	if err := b.Commit(kv.Sync); err != nil {
		return writeError(err)
	}
	s.writer = next
	var errs []error
	for _, db := range s.dbs {
		if err := db.renewPlainly(); err != nil {
			errs = append(errs, fmt.Errorf("database %s: %w", db.name, err))
		}
	}
	return errors.Join(errs...)
}

func (db *DB) renewPlainly() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	now := db.s.opts.Now()
	if db.destroyed || db.renewedWithin(renewPause, now) {
		return nil
	}
	_, err := db.renewSince(db.know.Own(), now)
	return err
}

// renewedWithin reports whether the last renewal since the start was so recent. Called with mu held.
func (db *DB) renewedWithin(d time.Duration, now time.Time) bool {
	since := now.Sub(db.renewed)
	return db.renewals > 0 && since >= 0 && since < d
}

// newEpoch picks an epoch of a store that was not always what it is. Those of a store that never was are small, so the two
// never meet.
func newEpoch(random, present uint32) uint32 {
	// The top is left to the databases that will be destroyed.
	epoch := restoredEpochs + random%(restoredEpochs-1<<20)
	if epoch == present {
		epoch++
	}
	return epoch
}

// renewSince begins a new epoch, in which everything has new names that this device made after the version. Called with mu
// held; it returns when the change is durable.
func (db *DB) renewSince(sure id.Version, now time.Time) (Renewed, error) {
	to := id.Writer{Device: db.writer.Device, Epoch: newEpoch(db.s.opts.Random(), db.writer.Epoch)}
	for db.madeHere()[to] > 0 {
		to.Epoch = newEpoch(to.Epoch+1, db.writer.Epoch)
	}
	r := renewal{txn: db.begin(), to: to, touched: map[rowRef]renamed{}}
	err := r.find(sure)
	for _, step := range []func() error{r.log, r.heads, r.sequence, r.reclaimed, r.listLinks} {
		if err == nil {
			err = step()
		}
	}
	rec := db.rec
	rec.epoch, rec.Former, rec.Reserved = to.Epoch, r.former(), 0
	var data []byte
	if err == nil {
		data, err = rec.encode()
	}
	if err != nil {
		r.b.Discard()
		return Renewed{}, err
	}
	r.b.Set(databaseKey(db.name), data)
	r.writeSums()
	know := r.knowledge(&rec)
	if err := r.b.Commit(kv.Sync); err != nil {
		return Renewed{}, writeError(err)
	}
	done := Renewed{From: db.writer, To: to, Renamed: r.renamed}
	for ref := range r.touched {
		if ref.key == "" && ref.coll.perms != nil {
			ref.coll.version = r.loaded(ref).Heads[0].Version
		}
	}
	r.keepSums()
	db.rec, db.writer, db.renewed = rec, to, now
	db.renewals++
	db.used = uint64(int64(db.used) + r.grown)
	r.adoptLinks()
	db.standing.reset() // rows name other versions now
	db.meta.Add(1)
	// The batch was synced after everything applied before it, so all of that is durable too.
	db.publish(db.advance(know))
	return done, nil
}

// renewal gives new names to what this device made since a moment. Records of earlier epochs that were made since then get
// them too, all in the order in which they were made.
type renewal struct {
	*txn
	to id.Writer
	// from is the first sequence number whose own commits get new names, at the beginning of a value of space 15.
	from uint64
	// parts are the epochs that have such commits, oldest first.
	parts []part
	// touched are the rows of renamed records.
	touched map[rowRef]renamed
	renamed int
	// links are those that the renewal lays.
	links []laid
}

// renamed is what was renamed in a row: the last generation of a record, and of one that is no link.
type renamed struct{ last, made uint64 }

// part is what has to be renamed of one epoch: the generations after keep up to made become those after base.
type part struct {
	writer           id.Writer
	keep, made, base uint64
	// since and until bound the sequence numbers at which this device was that writer.
	since, until uint64
}

// find sets from and parts.
func (r *renewal) find(sure id.Version) error {
	db := r.db
	r.from = math.MaxUint64
	made := db.madeHere()[sure.Writer]
	for _, coll := range db.colls {
		lo := logKey(db.num, coll.num, id.Version{Writer: sure.Writer, Gen: sure.Gen + 1})
		hi := logKey(db.num, coll.num, id.Version{Writer: sure.Writer, Gen: made})
		err := r.each(lo, append(hi, 0), func(key, value []byte) (bool, error) {
			h, _, err := decodeLog(value)
			r.from = min(r.from, h.seq)
			// A commit is renamed whole.
			sure.Gen = min(sure.Gen, logGen(key)-h.index-1)
			return false, err
		})
		if err != nil {
			return err
		}
	}
	if r.from == math.MaxUint64 {
		r.from = db.seq + 1
		return nil
	}
	var before seqHead
	it, err := db.s.kv.Iter(dbKey(spaceSeq, db.num), seqKey(db.num, r.from+1))
	if err != nil {
		return err
	}
	floor := db.floor.Load()
	if it.Last() {
		if r.from, err = seqOf(it.Key()); err != nil {
			return errors.Join(err, it.Close())
		}
		if r.from == floor+1 && floor > 0 {
			before, err = r.beforeFloor(sure, it.Value())
		} else if it.Prev() {
			before, _, err = seqHeader(it.Value())
		}
	} else if r.from <= floor {
		// The commit has been reclaimed: what is left of it is in the log alone.
		r.from, before.ownGen = floor+1, sure.Gen
	}
	if err := errors.Join(err, it.Close()); err != nil {
		return err
	}
	r.divide(before.ownGen)
	return nil
}

// divide sets parts; kept is what the epoch at the beginning had made before.
func (r *renewal) divide(kept uint64) {
	db := r.db
	since, base := uint64(1), uint64(0)
	eras := append(slices.Clone(db.rec.Former), formerEpoch{Epoch: db.writer.Epoch, Gen: db.know.Own().Gen, Seq: db.seq})
	for _, f := range eras {
		if f.Seq >= r.from {
			p := part{writer: id.Writer{Device: db.writer.Device, Epoch: f.Epoch}, made: f.Gen, base: base, since: since, until: f.Seq}
			if since < r.from {
				p.keep = min(kept, f.Gen)
			}
			r.parts = append(r.parts, p)
			base += p.made - p.keep
		}
		since = f.Seq + 1
	}
	r.ownGen = base
}

// each visits a range of keys in order until visit returns false.
func (r *renewal) each(lo, hi []byte, visit func(key, value []byte) (bool, error)) error {
	if bytes.Compare(lo, hi) >= 0 {
		return nil
	}
	it, err := r.db.s.kv.Iter(lo, hi)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		var more bool
		if more, err = visit(it.Key(), it.Value()); err != nil || !more {
			break
		}
	}
	return errors.Join(err, it.Close())
}

// name returns the new name of a version, and whether it gets one.
func (r *renewal) name(v id.Version) (id.Version, bool) {
	for i := range r.parts {
		if p := &r.parts[i]; v.Writer == p.writer && v.Gen > p.keep && v.Gen <= p.made {
			return id.Version{Writer: r.to, Gen: p.base + v.Gen - p.keep}, true
		}
	}
	return v, false
}

func (r *renewal) names(list []id.Version) []id.Version {
	list = slices.Clone(list)
	for i, v := range list {
		list[i], _ = r.name(v)
	}
	return list
}

// sorted is names for a list that is kept in order.
func (r *renewal) sorted(list []id.Version) []id.Version {
	list = r.names(list)
	slices.SortFunc(list, id.Version.Compare)
	return list
}

// seen returns what a record or head of the new epoch has seen, which one of the writer had before.
func (r *renewal) seen(before id.Vector, writer id.Writer) id.Vector {
	seen := before.Clone()
	for _, p := range r.parts {
		if g, found := seen[p.writer]; found && g > p.keep && g <= p.made {
			seen[p.writer] = p.keep
		}
		if p.writer == writer {
			seen[p.writer] = p.keep
		}
		if seen[p.writer] == 0 {
			delete(seen, p.writer)
		}
	}
	return seen
}

// log renames the records.
func (r *renewal) log() error {
	for _, coll := range r.db.colls {
		for _, p := range r.parts {
			lo := logKey(r.db.num, coll.num, id.Version{Writer: p.writer, Gen: p.keep + 1})
			hi := logKey(r.db.num, coll.num, id.Version{Writer: p.writer, Gen: p.made})
			err := r.each(lo, append(hi, 0), func(key, value []byte) (bool, error) {
				return true, r.rename(coll, p, key, value)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *renewal) rename(coll *collection, p part, key, value []byte) error {
	rec, h, err := decodeLogRecord(value, id.Version{Writer: p.writer, Gen: logGen(key)})
	if err != nil {
		return err
	}
	rec.Version, _ = r.name(rec.Version)
	rec.Parents, rec.Beside = r.names(rec.Parents), r.sorted(rec.Beside)
	rec.Seen = r.seen(rec.Seen, p.writer)
	r.body = wire.AppendBody(appendLog(r.body[:0], h, nil), &rec)
	to := logKey(r.db.num, coll.num, rec.Version)
	r.b.Delete(key)
	r.b.Set(to, r.body)
	r.grown += int64(len(to) + len(r.body) - len(key) - len(value))
	ref := rowRef{coll, rec.Key}
	in := r.touched[ref]
	in.last = max(in.last, rec.Version.Gen)
	if rec.Kind != wire.Link {
		in.made = max(in.made, rec.Version.Gen)
	}
	r.touched[ref] = in
	r.renamed++
	return nil
}

// heads gives the rows of renamed records their new current versions.
func (r *renewal) heads() error {
	refs := slices.SortedFunc(maps.Keys(r.touched), func(a, b rowRef) int {
		return cmp.Or(cmp.Compare(a.coll.num, b.coll.num), cmp.Compare(a.key, b.key))
	})
	for _, ref := range refs {
		row, err := r.row(ref.coll, ref.key)
		if err != nil {
			return err
		}
		row.trace = trace{} // nothing is left behind by a new name
		if len(row.Heads) == 0 {
			continue
		}
		in := r.touched[ref]
		row.Heads = slices.Clone(row.Heads)
		// What a head that has a new name covers, others know to be below that.
		below := make([]id.Version, 0, len(row.Heads))
		for i := range row.Heads {
			if v, own := r.name(row.Heads[i].Version); own && v.Gen >= in.made {
				in.made = 0
			}
		}
		for i := range row.Heads {
			tell, err := r.head(ref, &row.Heads[i], in)
			if err != nil {
				return err
			}
			if tell {
				below = append(below, row.Heads[i].Version)
			}
		}
		slices.SortFunc(row.Heads, func(a, b history.Head) int { return a.Version.Compare(b.Version) })
		row.KeepApart()
		r.link(row, below, in)
		if err := r.writeRow(row); err != nil {
			return err
		}
	}
	return nil
}

// head renames what a head consists of. It covers every record of its row, so also the last one that was renamed. It reports
// whether others have to be told so.
func (r *renewal) head(ref rowRef, h *history.Head, in renamed) (tell bool, err error) {
	was, tips := h.Version, h.Tips
	var own bool
	h.Version, own = r.name(h.Version)
	h.Tips, h.Beside, h.Resolves, h.Aside = r.sorted(h.Tips), r.sorted(h.Beside), r.names(h.Resolves), r.names(h.Aside)
	if own {
		h.Seen = r.seen(h.Seen, was.Writer)
		return false, nil
	}
	// What others have seen under the former names is what they say in their records; what the head has got by links that have
	// new names now is not.
	seen := r.seen(h.Seen, id.Writer{})
	more, err := r.public(ref.coll, was, tips, seen)
	if err != nil {
		return false, err
	}
	linked := in.made == 0 || slices.ContainsFunc(h.Tips, func(t id.Version) bool { return t.Writer == r.to && t.Gen >= in.made })
	seen.Add(id.Version{Writer: r.to, Gen: in.last})
	h.Seen = seen
	return more || !linked, nil
}

// sequence renames the commits, and the changes that they list.
func (r *renewal) sequence() error {
	if len(r.parts) == 0 {
		return nil
	}
	lo, hi := seqKey(r.db.num, r.from), seqKey(r.db.num, r.db.seq+1)
	return r.each(lo, hi, func(key, value []byte) (bool, error) {
		head, commits, left, err := decodeSeq(value)
		if err != nil {
			return false, err
		}
		seq, err := seqOf(key)
		if err != nil {
			return false, err
		}
		at := slices.IndexFunc(r.parts, func(p part) bool { return seq >= p.since && seq <= p.until })
		if at < 0 {
			return false, corrupt("commit sequence", fmt.Errorf("commit %d belongs to no epoch", seq))
		}
		p := r.parts[at]
		head.ownGen = p.base + max(head.ownGen, p.keep) - p.keep
		if last := seq + uint64(len(commits)) - 1; last == r.db.seq {
			head.used = uint64(int64(r.db.used) + r.grown)
		}
		for i := range commits {
			l := &commits[i]
			if named, is := r.name(id.Version{Writer: l.writer, Gen: l.first}); is && l.writer == p.writer {
				l.writer, l.first = named.Writer, named.Gen
			}
			for j := range l.changes {
				l.changes[j].version, _ = r.name(l.changes[j].version)
			}
		}
		for i := range left {
			left[i].version, _ = r.name(left[i].version)
		}
		r.b.Set(key, appendSeq(nil, head, commits, left))
		return true, nil
	})
}

// former returns the epochs that have ended.
func (r *renewal) former() []formerEpoch {
	db := r.db
	var list []formerEpoch
	for _, f := range append(slices.Clone(db.rec.Former), formerEpoch{Epoch: db.writer.Epoch, Gen: db.know.Own().Gen, Seq: db.seq}) {
		for _, p := range r.parts {
			if p.writer.Epoch == f.Epoch {
				f.Gen, f.Seq = p.keep, r.from-1
			}
		}
		if f.Gen > 0 {
			list = append(list, f)
		}
	}
	return list
}

// knowledge returns what is known afterwards, and writes it: of the former epochs no more than is sure.
func (r *renewal) knowledge(rec *databaseRecord) *delta.Knowledge {
	db := r.db
	former := rec.formerVector(db.writer.Device)
	know := delta.NewKnowledge(id.Version{Writer: r.to, Gen: r.ownGen})
	for _, s := range db.know.Scopes() {
		v := db.know.Stored(s).Clone()
		for _, p := range r.parts {
			delete(v, p.writer)
		}
		v.Merge(former)
		know.Track(s)
		know.Advance(s, v)
		r.setKnowledge(s, v)
	}
	return know
}
