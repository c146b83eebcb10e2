package rows

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Finding is something in the store that must not be.
type Finding struct {
	// Database is zero when the finding belongs to none.
	Database id.Name
	// Rule names the invariant that does not hold.
	Rule Rule
	// Key where it was found, in the form of docs/format.md.
	Key []byte
	// Text says what was found there.
	Text string
	// Remedy says what Repair does about it, empty for nothing.
	Remedy string
	// Loses: the remedy gives up something that may have been acknowledged.
	Loses bool

	mend mend
}

// Rule is an invariant of the store.
type Rule string

// The invariants.
const (
	// RuleEncoding: every value and key can be read.
	RuleEncoding Rule = "encoding"
	// RuleOwner: every key belongs to a database and collection that exist, and numbers are used once.
	RuleOwner Rule = "owner"
	// RuleSequence: the commits have no hole, and generations do not go back.
	RuleSequence Rule = "sequence"
	// RuleChange: the current version of a row is in the log, and so is a listed change unless something was reclaimed.
	RuleChange Rule = "change"
	// RuleLog: a log record lies within what is known and within the commits, and the row's current version covers it.
	RuleLog Rule = "log"
	// RuleRow: a row is not present and deleted at once.
	RuleRow Rule = "row"
	// RuleOpen: a row in conflict has its other heads, and no other row has any; readers see the last written.
	RuleOpen Rule = "open"
	// RuleKnowledge: knowledge is kept of collections that exist, and never of the device itself.
	RuleKnowledge Rule = "knowledge"
	// RuleUsed: the size that is kept is the size that there is.
	RuleUsed Rule = "used"
)

// Summary counts what was looked at.
type Summary struct {
	Databases, Collections, Rows, Tombstones, Records, Commits, Findings int
}

// Check goes through everything that the store keeps and reports what breaks an invariant. The store may be in use.
func (s *Store) Check(ctx context.Context, report func(Finding), how Progress) (Summary, error) {
	snap := s.kv.Snapshot()
	from, lost, err := CheckFiles(ctx, s.kv, snap, report, how)
	var sum Summary
	if err == nil {
		sum, err = CheckTelling(ctx, from, report, how.Keys)
	}
	sum.Findings += lost
	return sum, errors.Join(err, snap.Close())
}

// CheckDir is Check for a directory that nobody has open. It changes nothing in it.
func CheckDir(ctx context.Context, dir string, opts kv.Options, report func(Finding)) (Summary, error) {
	opts.ReadOnly = true
	store, err := kv.Open(dir, opts)
	if err != nil {
		return Summary{}, err
	}
	sum, err := Check(ctx, store, report)
	return sum, errors.Join(err, store.Close())
}

// Check is Store.Check for a store that need not be sound enough to be opened: it reads keys and values alone.
func Check(ctx context.Context, from kv.Reader, report func(Finding)) (Summary, error) {
	return CheckTelling(ctx, from, report, nil)
}

// CheckTelling is Check that tells now and then how many keys it has looked at.
func CheckTelling(ctx context.Context, from kv.Reader, report func(Finding), looked func(keys int)) (Summary, error) {
	c := checker{ctx: ctx, from: from, report: report, looked: looked}
	if looked != nil {
		looked(0)
	}
	err := c.store()
	return c.sum, err
}

// tellEvery is after how many keys CheckTelling tells.
const tellEvery = 10_000

// checker goes through one store.
type checker struct {
	ctx    context.Context
	from   kv.Reader
	report func(Finding)
	sum    Summary
	// looked is told how many keys were visited; it may be nil.
	looked func(keys int)
	keys   int
}

func (c *checker) found(db id.Name, rule Rule, key []byte, format string, args ...any) {
	c.mendable(db, mend{}, rule, key, format, args...)
}

// mendable is found for what can be repaired.
func (c *checker) mendable(db id.Name, m mend, rule Rule, key []byte, format string, args ...any) {
	c.sum.Findings++
	c.report(Finding{
		Database: db, Rule: rule, Key: bytes.Clone(key), Text: fmt.Sprintf(format, args...),
		Remedy: m.what, Loses: m.loses, mend: m,
	})
}

// each visits a range in order.
func (c *checker) each(lo, hi []byte, visit func(key, value []byte)) error {
	it, err := c.from.Iter(lo, hi)
	if err != nil {
		return err
	}
	for ok := it.First(); ok && c.ctx.Err() == nil; ok = it.Next() {
		visit(it.Key(), it.Value())
		if c.keys++; c.looked != nil && c.keys%tellEvery == 0 {
			c.looked(c.keys)
		}
	}
	return errors.Join(c.ctx.Err(), it.Close())
}

// unknown reports whether what was asked for lies where the store cannot be read. That is no news: whoever hands out such a
// store has reported it.
func (c *checker) unknown(err error) bool { return kv.Partial(c.from) && errors.Is(err, kv.ErrDamaged) }

func (c *checker) prefix(prefix []byte, visit func(key, value []byte)) error {
	return c.each(prefix, kv.PrefixEnd(prefix), visit)
}

func (c *checker) store() error {
	var writer id.Writer
	data, err := c.from.Get(keyWriter)
	switch {
	case errors.Is(err, kv.ErrNotFound), c.unknown(err):
	case err != nil:
		return err
	case len(data) != wire.WriterLen:
		c.found(id.Name{}, RuleEncoding, keyWriter, "device name of %d bytes", len(data))
	default:
		writer = wire.DecodeWriter(data)
	}
	var dbs []*checkedDB
	nums := map[uint32]bool{}
	err = c.prefix([]byte{spaceDatabase}, func(key, value []byte) {
		name, valid := parseName(key[1:])
		rec, err := decodeDatabase(bytes.Clone(value))
		if !valid || err != nil {
			c.found(name, RuleEncoding, key, "database record: %v", err)
		}
		if rec.num == 0 {
			return
		}
		if nums[rec.num] {
			c.found(name, RuleOwner, key, "database number %d is used twice", rec.num)
			return
		}
		nums[rec.num] = true
		dbs = append(dbs, &checkedDB{
			checker: c, name: name, rec: rec, colls: map[uint32]*checkedCollection{}, dropped: map[uint32]bool{}, left: map[litter]bool{},
			writer: id.Writer{Device: writer.Device, Epoch: rec.epoch},
		})
	})
	if err != nil {
		return err
	}
	if writer.Device == (id.Device{}) {
		if writer, err = c.lostWriter(len(dbs) > 0); err != nil {
			return err
		}
		for _, d := range dbs {
			d.writer.Device = writer.Device
		}
	}
	if err := errors.Join(c.numbers(nums), c.orphans(nums, writer.Device)); err != nil {
		return err
	}
	for _, db := range dbs {
		c.sum.Databases++
		for _, step := range []func() error{db.collections, db.unnamed, db.reclaimed, db.sequence, db.knowledge, db.burials, db.unburied, db.rows, db.tombstones, db.openHeads, db.log, db.digests, db.letters, db.size} {
			if err := step(); err != nil {
				return err
			}
		}
	}
	return nil
}

// orphans looks for keys of databases that do not exist, by leaping from one number to the next.
func (c *checker) orphans(nums map[uint32]bool, device id.Device) error {
	named := map[uint32]bool{} // they get a name again
	for _, space := range spacesOfDatabase {
		it, err := c.from.Iter([]byte{space}, []byte{space + 1})
		if err != nil {
			return err
		}
		for ok := it.First(); ok; {
			if len(it.Key()) < 5 {
				c.mendable(id.Name{}, dropKey(it.Key()), RuleEncoding, it.Key(), "key of %d bytes", len(it.Key()))
				ok = it.Next()
				continue
			}
			num := binary.BigEndian.Uint32(it.Key()[1:])
			if !nums[num] && !named[num] {
				m, err := c.lostDatabase(num, device)
				if err != nil {
					return errors.Join(err, it.Close())
				}
				if named[num] = m.apply != nil; !named[num] {
					m = dropPrefix(dbKey(space, num))
				}
				c.mendable(id.Name{}, m, RuleOwner, it.Key(), "there is no database with the number %d", num)
			}
			next := kv.PrefixEnd(dbKey(space, num))
			ok = it.SeekGE(next)
		}
		if err := it.Close(); err != nil {
			return err
		}
	}
	return nil
}

// checkedDB is a database as the checker comes to know it.
type checkedDB struct {
	*checker
	name   id.Name
	rec    databaseRecord
	writer id.Writer
	colls  map[uint32]*checkedCollection
	// first and last are the ends of the sequence of commits; head is that of its last value.
	first, last uint64
	// lastKey is the number in the last key of the sequence.
	lastKey uint64
	head    seqHead
	floor   floorMark
	// made are the epochs in which the device made commits that are listed, the oldest first.
	made []formerEpoch
	// dropped are the collections of which tombstones were dropped.
	dropped map[uint32]bool
	// left are records of theirs that were left behind, possibly by rows that are gone.
	left map[litter]bool
	know *delta.Knowledge
	used uint64
}

type checkedCollection struct {
	id     id.Collection
	burial burial
}

func (c *checkedCollection) present(num uint32) present {
	return present{num: num, hidden: c.burial.hidden()}
}

func (d *checkedDB) bad(rule Rule, key []byte, format string, args ...any) {
	d.found(d.name, rule, key, format, args...)
}

func (d *checkedDB) collections() error {
	ids := map[id.Collection]bool{}
	return d.prefix(dbKey(spaceCollection, d.rec.num), func(key, value []byte) {
		d.sum.Collections++
		c := cursor{data: value}
		c.version()
		coll := id.Collection{
			Kind: id.CollectionKind(c.byte()), Name: id.Name{Owner: id.Principal(c.string()), Local: c.string()},
		}
		if c.bad || len(c.data) > 0 || len(key) != collKeyLen || coll.Validate() != nil {
			d.bad(RuleEncoding, key, "collection record")
			return
		}
		if ids[coll] {
			d.bad(RuleOwner, key, "collection %s has two numbers", coll)
		}
		ids[coll] = true
		d.colls[binary.BigEndian.Uint32(key[5:])] = &checkedCollection{id: coll}
	})
}

// collection returns the collection that a key belongs to.
func (d *checkedDB) collection(key []byte) *checkedCollection {
	if len(key) < collKeyLen {
		d.mendable(d.name, dropKey(key), RuleEncoding, key, "key of %d bytes", len(key))
		return nil
	}
	coll := d.colls[binary.BigEndian.Uint32(key[5:])]
	if coll == nil {
		d.mendable(d.name, dropPrefix(key[:collKeyLen]), RuleOwner, key, "there is no collection with this number")
	}
	return coll
}

func (d *checkedDB) sequence() error {
	var faults error
	err := d.prefix(dbKey(spaceSeq, d.rec.num), func(key, value []byte) {
		head, commits, left, err := decodeSeq(value)
		if err != nil || len(key) != 13 || len(commits) == 0 {
			d.bad(RuleEncoding, key, "commits: %v", err)
			return
		}
		seq := binary.BigEndian.Uint64(key[5:])
		if d.first == 0 {
			d.first = seq
			if seq != d.floor.floor+1 {
				d.mendable(d.name, d.listAnew(d.floor.floor+1, seq-1), RuleSequence, key, "commit %d is the first, and the floor is %d", seq, d.floor.floor)
			}
		} else if seq != d.last+1 {
			d.mendable(d.name, d.listAnew(d.last+1, seq-1), RuleSequence, key, "commit %d follows %d", seq, d.last)
		}
		d.noteMade(seq, head.ownGen, commits)
		if head.ownGen < d.head.ownGen && !d.epochEnds(d.last) {
			d.mendable(d.name, d.raiseOwn(key, d.head.ownGen), RuleSequence, key, "the own generation goes back from %d to %d", d.head.ownGen, head.ownGen)
			head.ownGen = d.head.ownGen
		}
		d.last, d.lastKey, d.head = seq+uint64(len(commits))-1, seq, head
		d.sum.Commits += len(commits)
		for _, l := range left {
			if d.dropped[l.coll] {
				d.left[litter{coll: l.coll, version: l.version}] = true
			}
			if d.colls[l.coll] == nil {
				d.mendable(d.name, unlitter(key, l.coll), RuleOwner, key, "litter in a collection with the number %d, which there is not", l.coll)
			}
		}
		faults = errors.Join(faults, d.listed(key, commits))
	})
	if d.first == 0 && d.floor.floor > 0 {
		// The last commit is never reclaimed.
		d.last, d.lastKey, d.head.past = d.floor.floor, d.floor.floor, d.floor.past
		key := seqKey(d.rec.num, d.floor.floor+1)
		d.mendable(d.name, d.listAnew(d.floor.floor+1, math.MaxUint64), RuleSequence, key, "there is no commit, and the floor is %d", d.floor.floor)
	}
	d.lostEpochs()
	if n := len(d.rec.Former); n > 0 && d.last <= d.rec.Former[n-1].Seq {
		d.head.ownGen = 0
	}
	d.know = delta.NewKnowledge(id.Version{Writer: d.writer, Gen: d.head.ownGen})
	return errors.Join(err, faults)
}

func (d *checkedDB) epochEnds(seq uint64) bool {
	return slices.ContainsFunc(d.rec.Former, func(f formerEpoch) bool { return f.Seq == seq })
}

// listed checks that the changes of commits are in the log, or something that follows from them: what was reclaimed.
func (d *checkedDB) listed(key []byte, commits []learned) error {
	for i := range commits {
		for _, ch := range commits[i].changes {
			if d.colls[ch.coll] == nil {
				d.mendable(d.name, unlist(key, ch), RuleOwner, key, "a change of a collection with the number %d, which there is not", ch.coll)
				continue
			}
			if d.floor.floor > 0 || ch.gone {
				continue
			}
			if err := d.logged(key, unlist(key, ch), ch.coll, ch.version); err != nil {
				return err
			}
		}
	}
	return nil
}

// logged checks that a version is in the log.
func (d *checkedDB) logged(key []byte, m mend, coll uint32, v id.Version) error {
	_, err := d.from.Get(logKey(d.rec.num, coll, v))
	if d.unknown(err) {
		return nil
	}
	if errors.Is(err, kv.ErrNotFound) {
		d.mendable(d.name, m, RuleChange, key, "version %s is not in the log", v)
		return nil
	}
	return err
}

func (d *checkedDB) knowledge() error {
	return d.prefix(dbKey(spaceKnowledge, d.rec.num), func(key, value []byte) {
		coll := d.colls[binary.BigEndian.Uint32(append(bytes.Clone(key), 0, 0, 0, 0)[5:])]
		if coll == nil {
			d.mendable(d.name, forget(key), RuleKnowledge, key, "knowledge of a collection that there is not")
			return
		}
		if len(value) == 0 || value[0] != valueVersion {
			d.mendable(d.name, forget(key), RuleEncoding, key, "knowledge")
			return
		}
		v, err := wire.DecodeVector(value[1:])
		if err != nil {
			d.mendable(d.name, forget(key), RuleEncoding, key, "knowledge: %v", err)
			return
		}
		if v[d.writer] > 0 {
			d.mendable(d.name, forgetSelf(key, v, d.writer), RuleKnowledge, key, "the device keeps knowledge of itself")
		}
		s := id.Scope{Collection: coll.id, Prefix: string(key[collKeyLen:])}
		d.know.Track(s)
		d.know.Advance(s, v)
		d.know.Advance(s, d.rec.formerVector(d.writer.Device))
	})
}

func (d *checkedDB) burials() error {
	return d.prefix(dbKey(spaceBurial, d.rec.num), func(key, value []byte) {
		b, err := decodeBurial(value)
		if err != nil || len(key) != collKeyLen {
			d.bad(RuleEncoding, key, "burial: %v", err)
			return
		}
		if coll := d.collection(key); coll != nil {
			coll.burial = b
		}
	})
}

func (d *checkedDB) rows() error {
	var faults error
	err := d.prefix(dbKey(spaceRow, d.rec.num), func(key, value []byte) {
		d.sum.Rows++
		head, ok := d.readHead(key, value, false)
		if !ok {
			return
		}
		if len(key) == collKeyLen {
			if _, err := perm.Parse(head.Value, perm.CollectionTags); err != nil {
				d.bad(RuleEncoding, key, "access list: %v", err)
			}
		}
		faults = errors.Join(faults, d.logged(key, d.relog(key, &head), binary.BigEndian.Uint32(key[5:]), head.Version))
	})
	return errors.Join(err, faults)
}

func (d *checkedDB) tombstones() error {
	var faults error
	err := d.prefix(dbKey(spaceTomb, d.rec.num), func(key, value []byte) {
		d.sum.Tombstones++
		head, ok := d.readHead(key, value, true)
		if !ok {
			return
		}
		row := bytes.Clone(key)
		row[0] = spaceRow
		if _, err := d.from.Get(row); err == nil {
			d.mendable(d.name, d.rebuild(key), RuleRow, key, "the row is there as well")
		}
		faults = errors.Join(faults, d.logged(key, d.relog(key, &head), binary.BigEndian.Uint32(key[5:]), head.Version))
	})
	return errors.Join(err, faults)
}

// readHead reads a row or tombstone, and counts it.
func (d *checkedDB) readHead(key, value []byte, deleted bool) (history.Head, bool) {
	d.used += uint64(len(key) + len(value))
	if d.collection(key) == nil {
		return history.Head{}, false
	}
	head, err := decodeHead(value)
	if err != nil || head.Deleted != deleted {
		d.mendable(d.name, d.rebuild(key), RuleEncoding, key, "row: %v", err)
		return head, false
	}
	if contested(value) {
		d.contested(key, &head)
	}
	return head, true
}

func (d *checkedDB) log() error {
	var faults error
	err := d.prefix(dbKey(spaceLog, d.rec.num), func(key, value []byte) {
		d.sum.Records++
		d.used += uint64(len(key) + len(value))
		coll := d.collection(key)
		if coll == nil {
			return
		}
		if len(key) != collKeyLen+wire.WriterLen+8 {
			d.mendable(d.name, dropKey(key), RuleEncoding, key, "log key of %d bytes", len(key))
			return
		}
		v := id.Version{Writer: wire.DecodeWriter(key[collKeyLen:]), Gen: logGen(key)}
		h, body, err := decodeLog(value)
		if err != nil {
			d.mendable(d.name, dropKey(key), RuleEncoding, key, "log record: %v", err)
			return
		}
		rec, err := wire.DecodeBody(body, v)
		if err != nil {
			d.mendable(d.name, dropKey(key), RuleEncoding, key, "log record: %v", err)
			return
		}
		faults = errors.Join(faults, d.record(key, coll, &rec, h))
	})
	return errors.Join(err, faults)
}

// record checks a log record against what is known and against its row.
func (d *checkedDB) record(key []byte, coll *checkedCollection, rec *wire.Record, h logHeader) error {
	v := rec.Version
	if h.seq == 0 || h.seq > d.last || h.index >= h.count {
		m := mend{}
		if h.seq > d.last && h.index < h.count {
			m = d.listAnew(d.last+1, h.seq)
		}
		d.mendable(d.name, m, RuleLog, key, "record %d of %d in commit %d, the last of which is %d", h.index, h.count, h.seq, d.last)
	}
	if v.Writer == d.writer && v.Gen > d.head.ownGen {
		d.mendable(d.name, d.raiseOwn(seqKey(d.rec.num, d.lastKey), v.Gen), RuleLog, key, "generation %d of this device, which has made %d", v.Gen, d.head.ownGen)
	}
	// The record of a collection itself may lie in several scopes and is known at each of them only later.
	if rec.Key != "" && !d.know.Holds(coll.id, rec.Key, v) && !d.rec.formerVector(d.writer.Device).Covers(v) {
		d.bad(RuleLog, key, "version %s of a row is not known at any scope; that heals when a peer sends it again", v)
	}
	if rec.Kind == wire.Link {
		return nil
	}
	num := binary.BigEndian.Uint32(key[5:])
	row, err := d.from.Get(rowKey(spaceRow, d.rec.num, num, rec.Key))
	if errors.Is(err, kv.ErrNotFound) {
		row, err = d.from.Get(rowKey(spaceTomb, d.rec.num, num, rec.Key))
	}
	if errors.Is(err, kv.ErrNotFound) {
		if !d.left[litter{coll: num, version: v}] { // else the record waits to be reclaimed
			d.mendable(d.name, d.rebuild(rowKey(spaceRow, d.rec.num, num, rec.Key)), RuleLog, key, "there is neither a row nor a tombstone for %q", rec.Key)
		}
		return nil
	}
	if d.unknown(err) {
		return nil
	}
	if err != nil {
		return err
	}
	head, err := decodeHead(row)
	if err != nil {
		return nil // reported with the row
	}
	state := history.State{Heads: []history.Head{head}}
	if contested(row) {
		err = openHeads(d.from, d.rec.num, num, rec.Key, func(h history.Head, _ []byte) { state.Heads = append(state.Heads, h) })
		if err != nil {
			return nil // reported with the open heads
		}
	}
	if state.Apply(rec, h.time) != history.Known && !d.left[litter{coll: num, version: v}] {
		d.mendable(d.name, d.rebuild(rowKey(spaceRow, d.rec.num, num, rec.Key)), RuleLog, key,
			"the current version %s of %q does not cover %s", head.Version, rec.Key, v)
	}
	return nil
}

// size compares the size that is kept with the real one, and reads what belongs to no other step.
func (d *checkedDB) size() error {
	counted := d.head.used
	if d.floor.at == d.last {
		counted = d.floor.used
	}
	if d.used != counted && d.last > 0 && !kv.Partial(d.from) {
		d.mendable(d.name, d.setUsed(), RuleUsed, seqKey(d.rec.num, d.lastKey), "%d bytes are counted, %d are there", counted, d.used)
	}
	prefix := dbKey(spaceSyncgroup, d.rec.num)
	err := d.prefix(prefix, func(key, _ []byte) {
		if _, valid := parseName(key[len(prefix):]); !valid {
			d.mendable(d.name, dropKey(key), RuleEncoding, key, "name of a local value")
		}
	})
	return errors.Join(err, d.prefix(dbKey(spaceSchema, d.rec.num), func(key, value []byte) {
		if len(key) != len(dbKey(spaceSchema, d.rec.num)) {
			d.mendable(d.name, dropKey(key), RuleEncoding, key, "schema under a key of %d bytes", len(key))
		} else if _, err := decodeSchema(value); err != nil {
			d.mendable(d.name, dropKey(key), RuleEncoding, key, "schema: %v", err)
		}
	}))
}
