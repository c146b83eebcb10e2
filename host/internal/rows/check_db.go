package rows

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

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
