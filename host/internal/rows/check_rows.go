package rows

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

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
