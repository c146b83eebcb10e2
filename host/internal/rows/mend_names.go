package rows

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// The names of the device, of databases and of collections lie in tables of a few hundred bytes, on which everything else
// hangs. Where one is lost, what it named is not: it gets a name again.

// recovered is the local name of what has lost its own.
func recovered(num uint32) string { return fmt.Sprintf("recovered-%d", num) }

// lostWriter finds out from the commits which device this is: also from those of databases that have lost their own names, as
// these are named anew by what the device wrote in them. A store with neither commits nor databases is nobody's yet.
func (c *checker) lostWriter(inUse bool) (writer id.Writer, err error) {
	err = c.prefix([]byte{spaceSeq}, func(_, value []byte) {
		_, commits, _, err := decodeSeq(value)
		for i := range commits {
			if l := &commits[i]; err == nil && !l.fromSync {
				writer = l.writer
			}
		}
	})
	if kv.Partial(c.from) {
		return writer, err // it lies where nothing can be read
	}
	if writer.Device != (id.Device{}) {
		data := wire.AppendWriter(nil, writer)
		c.mendable(id.Name{}, setKey(keyWriter, data, "take it from the commits"), RuleOwner, keyWriter, "which device this is was lost")
	} else if inUse {
		c.mendable(id.Name{}, lossy(setKey(keyWriter, nil, "become another device")), RuleOwner, keyWriter, "which device this is was lost")
	}
	return writer, err
}

// numbers checks that no number of a database is given away twice.
func (c *checker) numbers(nums map[uint32]bool) error {
	data, err := c.from.Get(keyNextDB)
	if c.unknown(err) {
		return nil
	}
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return err
	}
	next, last := uint32(1), uint32(0)
	if len(data) == 4 {
		next = binary.BigEndian.Uint32(data)
	}
	for num := range nums {
		last = max(last, num)
	}
	if next <= last {
		m := setKey(keyNextDB, binary.BigEndian.AppendUint32(nil, last+1), "go on after the last one")
		c.mendable(id.Name{}, m, RuleOwner, keyNextDB, "the next database is to have the number %d, and there is one with %d", next, last)
	}
	return nil
}

func setKey(key, value []byte, what string) mend {
	return mend{what: what, apply: func(_ *repairer, b *kv.Batch) error {
		if value == nil {
			b.Delete(key)
		} else {
			b.Set(key, value)
		}
		return nil
	}}
}

// lostDatabase offers a name for a database that has a log and no name; a remedy that is empty is for a number that nothing
// leads to.
func (c *checker) lostDatabase(num uint32, device id.Device) (m mend, err error) {
	owner, err := c.ownerOf(num)
	if err != nil || owner == "" {
		return mend{}, err
	}
	name := id.Name{Owner: owner, Local: recovered(num)}
	return mend{what: "name it " + name.String(), loses: true, apply: func(r *repairer, b *kv.Batch) error {
		rec := databaseRecord{num: num, listVer: 1, databaseDoc: databaseDoc{Permissions: perm.For(owner, perm.DatabaseTags)}}
		rec.Settings.Durability = Sync
		if rec.epoch, rec.Former, err = r.epochs(num, device); err != nil {
			return err
		}
		data, err := rec.encode()
		b.Set(databaseKey(name), data)
		return err
	}}, nil
}

// ownerOf guesses who owns a database that has a log: the owner of its first collection, or who administers it.
func (c *checker) ownerOf(num uint32) (owner id.Principal, err error) {
	logged := false
	err = c.prefix(dbKey(spaceLog, num), func(_, _ []byte) { logged = true })
	if err != nil || !logged {
		return "", err
	}
	var atlas Atlas
	err = c.prefix(dbKey(spaceCollection, num), atlas.Learn)
	for _, n := range slices.Sorted(maps.Keys(atlas.colls[num])) {
		if owner == "" {
			owner = atlas.colls[num][n].Name.Owner
		}
	}
	if owner != "" || err != nil {
		return owner, err
	}
	return owner, errors.Join(err, c.prefix(dbKey(spaceRow, num), func(key, value []byte) {
		if len(key) != collKeyLen || owner != "" {
			return
		}
		head, err := decodeHead(value)
		if err != nil {
			return
		}
		if list, err := perm.Parse(head.Value, perm.CollectionTags); err == nil && len(list[perm.Admin].In) > 0 {
			owner = id.Principal(list[perm.Admin].In[0])
		}
	}))
}

// epochs finds out from the log of a database in which epoch the device writes there, and in which it did before.
func (r *repairer) epochs(num uint32, device id.Device) (epoch uint32, former []formerEpoch, err error) {
	found, begun := map[uint32]*formerEpoch{}, map[uint32]uint64{}
	err = r.readLog(context.Background(), dbKey(spaceLog, num), func(l logged) {
		w := l.rec.Version.Writer
		if w.Device != device {
			return
		}
		f := found[w.Epoch]
		if f == nil {
			f = &formerEpoch{Epoch: w.Epoch}
			found[w.Epoch], begun[w.Epoch] = f, l.h.seq
		}
		begun[w.Epoch] = min(begun[w.Epoch], l.h.seq)
		f.Gen, f.Seq = max(f.Gen, l.rec.Version.Gen), max(f.Seq, l.h.seq)
	})
	for _, f := range found {
		former = append(former, *f)
	}
	slices.SortFunc(former, func(a, b formerEpoch) int { return cmp.Compare(a.Seq, b.Seq) })
	if len(former) == 0 {
		return restoredEpochs, nil, err
	}
	last := len(former) - 1
	for i := range last { // an epoch lasts to where the next one begins, also if others wrote last in it
		former[i].Seq = max(former[i].Seq, max(begun[former[i+1].Epoch], 1)-1)
	}
	return former[last].Epoch, former[:last], err
}

// unnamed gives names to collections that have a log or rows, and none.
func (d *checkedDB) unnamed() error {
	for _, space := range []byte{spaceLog, spaceRow} {
		prefix := dbKey(space, d.rec.num)
		it, err := d.from.Iter(prefix, kv.PrefixEnd(prefix))
		if err != nil {
			return err
		}
		for ok := it.First(); ok; {
			key := bytes.Clone(it.Key())
			if len(key) < collKeyLen {
				ok = it.Next()
				continue
			}
			num := binary.BigEndian.Uint32(key[5:])
			if d.colls[num] == nil {
				d.nameAnew(num, key)
			}
			ok = it.SeekGE(kv.PrefixEnd(key[:collKeyLen]))
		}
		if err := it.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (d *checkedDB) nameAnew(num uint32, key []byte) {
	coll := id.Collection{Name: id.Name{Owner: d.name.Owner, Local: recovered(num)}}
	m := setKey(collKey(spaceCollection, d.rec.num, num), appendCollection(nil, coll), "name it "+coll.String())
	d.mendable(d.name, lossy(m), RuleOwner, key, "there is no collection with the number %d", num)
	d.colls[num] = &checkedCollection{id: coll}
}

// relog writes the record of a current version anew from its row. There it stands alone, with what the row has for history.
func (d *checkedDB) relog(key []byte, head *history.Head) mend {
	if len(key) < collKeyLen {
		return mend{}
	}
	rec := recordOf(string(key[collKeyLen:]), head)
	at := logKey(d.rec.num, binary.BigEndian.Uint32(key[5:]), head.Version)
	num, least, most, time := d.rec.num, max(d.floor.floor, 1), d.last, head.Time
	if most == 0 {
		return mend{}
	}
	return mend{what: "write the record anew from the row", apply: func(r *repairer, b *kv.Batch) error {
		seq, err := r.learnedAt(num, head.Version)
		if err != nil {
			return err
		}
		if seq == 0 {
			seq = min(least, most)
		}
		b.Set(at, wire.AppendBody(appendLog(nil, logHeader{seq: seq, count: 1, time: time}, nil), &rec))
		return nil
	}}
}

// recordOf is the record of a version as its row remembers it.
func recordOf(key string, head *history.Head) wire.Record {
	rec := wire.Record{
		Version: head.Version, Raw: head.Raw, Key: key, Parents: slices.Clone(head.Resolves), Round: head.Round,
		Seen: head.Seen.Clone(), Beside: slices.Clone(head.Beside), Type: head.Type, Value: bytes.Clone(head.Value),
	}
	if head.Deleted {
		rec.Kind = wire.Delete
	}
	return rec
}

// learnedAt returns where the sequence lists a version, 0 where it does not.
func (r *repairer) learnedAt(num uint32, v id.Version) (uint64, error) {
	if r.listed[num] == nil {
		listed := map[id.Version]uint64{}
		prefix := dbKey(spaceSeq, num)
		it, err := r.kv.Iter(prefix, kv.PrefixEnd(prefix))
		if err != nil {
			return 0, err
		}
		for ok := it.First(); ok; ok = it.Next() {
			_, commits, _, err := decodeSeq(bytes.Clone(it.Value()))
			if err != nil || len(it.Key()) != 13 {
				continue
			}
			for i := range commits {
				for _, ch := range commits[i].changes {
					listed[ch.version] = binary.BigEndian.Uint64(it.Key()[5:]) + uint64(i)
				}
			}
		}
		if err := it.Close(); err != nil {
			return 0, err
		}
		r.listed[num] = listed
	}
	return r.listed[num][v], nil
}
