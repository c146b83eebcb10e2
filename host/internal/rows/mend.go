package rows

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// mend is how a finding is repaired; the zero mend is not at all.
//
// What follows from the log (rows, the list of commits, sizes, generations) is made anew from it, and nothing is lost. A
// mend that loses gives up a key that cannot be read or that nothing leads to.
type mend struct {
	what  string
	loses bool
	stage stage
	apply func(r *repairer, b *kv.Batch) error
}

// stage orders mends: what a later one computes depends on what the earlier ones put right.
type stage int

const (
	mendKeys stage = iota
	mendSequence
	mendOwn
	mendUsed
)

// lossy marks a mend that is safe in other circumstances.
func lossy(m mend) mend {
	m.loses = m.apply != nil
	return m
}

func dropKey(key []byte) mend {
	key = bytes.Clone(key)
	return mend{what: "remove the key", loses: true, apply: func(_ *repairer, b *kv.Batch) error {
		b.Delete(key)
		return nil
	}}
}

func dropPrefix(prefix []byte) mend {
	prefix = bytes.Clone(prefix)
	return mend{what: fmt.Sprintf("remove all keys that begin with %x", prefix), loses: true, apply: func(_ *repairer, b *kv.Batch) error {
		b.DeleteRange(prefix, kv.PrefixEnd(prefix))
		return nil
	}}
}

// forget drops knowledge. Knowing less is always safe: peers send again what they are asked for.
func forget(key []byte) mend {
	m := dropKey(key)
	m.what, m.loses = "forget it; peers send again what they have", false
	return m
}

func forgetSelf(key []byte, v id.Vector, self id.Writer) mend {
	key, v = bytes.Clone(key), v.Clone()
	delete(v, self)
	return mend{what: "keep what is known of others", apply: func(_ *repairer, b *kv.Batch) error {
		b.Set(key, wire.AppendVector([]byte{valueVersion}, v))
		return nil
	}}
}

// rowSource says what a row is made anew by, beside the log.
type rowSource struct {
	// reclaimed: a part of the log is gone.
	reclaimed bool
	// reach covers the versions that were destroyed with their collection.
	reach id.Vector
}

// rebuild makes a row anew from the log, or its tombstone, with its open heads. What reclaiming leaves of the log is enough
// for peers to converge by, and so for this.
func (d *checkedDB) rebuild(key []byte) mend {
	if len(key) < collKeyLen {
		return mend{}
	}
	ref := string(key[1:])
	from := rowSource{reclaimed: d.floor.floor > 0}
	if coll := d.colls[binary.BigEndian.Uint32(key[5:])]; coll != nil && len(key) > collKeyLen {
		from.reach = coll.burial.reach
	}
	return mend{what: "make the row anew from the log", apply: func(r *repairer, _ *kv.Batch) error {
		r.rows[ref] = from
		return nil
	}}
}

// listAnew makes the commits from..to of the sequence anew from the log.
func (d *checkedDB) listAnew(from, to uint64) mend {
	num, writer, head := d.rec.num, d.writer, seqHead{ownGen: d.head.ownGen, past: max(d.head.past, d.floor.past)}
	return mend{what: "list the commits anew from the log", stage: mendSequence, apply: func(r *repairer, _ *kv.Batch) error {
		l := r.lists[num]
		if l == nil {
			l = &listing{writer: writer, head: head}
			r.lists[num] = l
		}
		if n := len(l.gaps); n > 0 && l.gaps[n-1].from == from {
			l.gaps[n-1].to = max(l.gaps[n-1].to, to)
			return nil
		}
		l.gaps = append(l.gaps, gap{from, to})
		return nil
	}}
}

// raiseOwn makes a value of the sequence say that this device has made a generation.
func (d *checkedDB) raiseOwn(key []byte, gen uint64) mend {
	if d.last == 0 {
		return mend{}
	}
	return d.changeSeq(key, "note that the generation was made", mendOwn, func(v *changedSeq) { v.head.ownGen = max(v.head.ownGen, gen) })
}

func (d *checkedDB) setUsed() mend {
	used, mark := d.used, d.floor
	if mark.at == d.last {
		mark.used = used
		return mend{what: "note the size that there is", stage: mendUsed, apply: func(_ *repairer, b *kv.Batch) error {
			b.Set(floorKey(d.rec.num), mark.append(nil))
			return nil
		}}
	}
	return d.changeSeq(seqKey(d.rec.num, d.lastKey), "note the size that there is", mendUsed, func(v *changedSeq) { v.head.used = used })
}

func (d *checkedDB) changeSeq(key []byte, what string, at stage, change func(*changedSeq)) mend {
	key = bytes.Clone(key)
	return mend{what: what, stage: at, apply: func(r *repairer, b *kv.Batch) error { return r.changeSeq(b, key, change) }}
}

// unlist takes a change out of a value of the sequence, as watchers could not be shown it.
func unlist(key []byte, gone change) mend {
	key = bytes.Clone(key)
	return mend{what: "take the change out of the list of commits", loses: true, apply: func(r *repairer, b *kv.Batch) error {
		return r.changeSeq(b, key, func(v *changedSeq) {
			commits := v.commits
			for i := range commits {
				c := &commits[i]
				kept := c.changes[:0]
				for _, ch := range c.changes {
					if ch != gone {
						kept = append(kept, ch)
					}
				}
				c.changes = kept
			}
		})
	}}
}

// unlitter takes what lies in a collection that is gone from a list of what is to be reclaimed.
func unlitter(key []byte, coll uint32) mend {
	key = bytes.Clone(key)
	return mend{what: "take it from the list of what is to be reclaimed", apply: func(r *repairer, b *kv.Batch) error {
		return r.changeSeq(b, key, func(v *changedSeq) {
			v.left = slices.DeleteFunc(v.left, func(l litter) bool { return l.coll == coll })
		})
	}}
}

// unreclaimed removes a note about what was reclaimed, but the one that says where the log begins.
func unreclaimed(key []byte) mend {
	if len(key) > 5 && key[5] == reclaimFloor {
		return mend{}
	}
	return dropKey(key)
}
