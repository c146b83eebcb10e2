package rows

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// tombs is the part of reclaiming that sees to tombstones: one that everybody knows of is dropped, any other waits in a queue
// of its own, so that it does not hold back the rest. Used with DB.mu held.
type tombs struct {
	*reclaiming
	// dropped has, for each collection with tombstones that go, what was dropped from it including them.
	dropped map[*collection]drops
	// size is what the tombstones that go take.
	size int
	// seen are the tombstones that were looked at, some of which are listed more than once.
	seen map[litter]bool
	// pulled is, for each collection that was looked at, what those who pull it now hold at least; nil where nobody does.
	pulled map[*collection]id.Vector
}

// drops is what was dropped from a collection: deletes up to these generations, the latest of them made at a time.
type drops struct {
	upTo id.Vector
	at   hlc.Time
}

func newTombs(s *reclaiming) *tombs {
	return &tombs{reclaiming: s, dropped: map[*collection]drops{}, seen: map[litter]bool{}, pulled: map[*collection]id.Vector{}}
}

// bury handles the tombstones below the new floor and those that have been waiting.
func (t *tombs) bury() error {
	for _, l := range t.dead {
		if _, err := t.take(l, false); err != nil {
			return err
		}
	}
	if err := t.queue(t.limits.Items - len(t.gone) - len(t.dead)); err != nil {
		return err
	}
	for coll, d := range t.dropped {
		t.b.Set(droppedKey(t.db.num, coll.num), d.append(nil))
	}
	return nil
}

// done takes over what was dropped, after the batch was applied.
func (t *tombs) done() {
	for coll, d := range t.dropped {
		coll.dropped, coll.droppedAt = d.upTo, d.at
	}
}

// take drops the tombstone if it is still the last word on its row and everybody knows of it. Otherwise it makes it wait. One that
// waits is left alone, early, while commits that stay still tell of it, as they may of rows that were swept with their collection:
// a watcher that comes to them looks for it in the log.
func (t *tombs) take(l litter, waits bool) (early bool, err error) {
	coll := t.db.byNum[l.coll]
	if coll == nil {
		return false, corrupt("litter", nil)
	}
	if t.seen[l] {
		return false, nil
	}
	t.seen[l] = true
	logged := logKey(t.db.num, l.coll, l.version)
	value, err := t.db.s.kv.Get(logged)
	if errors.Is(err, kv.ErrNotFound) {
		t.forget(l, waits) // the row was written again since
		return false, nil
	}
	if err != nil {
		return false, err
	}
	rec, h, err := decodeLogRecord(value, l.version)
	if err != nil || waits && h.seq > t.floor {
		return err == nil, err
	}
	key := rowKey(spaceTomb, t.db.num, l.coll, rec.Key)
	data, err := t.db.s.kv.Get(key)
	if errors.Is(err, kv.ErrNotFound) {
		t.forget(l, waits)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	head, err := decodeHead(data)
	if err != nil {
		return false, err
	}
	if head.Version != l.version || contested(data) {
		t.forget(l, waits)
		return false, nil
	}
	ready, err := t.ready(coll, &head)
	if err != nil {
		return false, err
	}
	if !ready || t.db.awaitsLetter(coll, &head) {
		if !waits {
			t.b.Set(waitingKey(t.db.num, l), []byte{valueVersion})
		}
		return false, nil
	}
	t.remove(key, len(key)+len(data))
	t.size += len(key) + len(data)
	t.got.Tombstones++
	t.forget(l, waits)
	t.remove(logged, len(logged)+len(value))
	return false, t.drop(coll, &head)
}

// forget takes a tombstone that waits no longer out of the queue.
func (t *tombs) forget(l litter, waits bool) {
	if waits {
		t.b.Delete(waitingKey(t.db.num, l))
	}
}

// ready reports whether everybody knows of the delete and of the links on top of it, and whether all that lost against it
// has been reclaimed before it.
func (t *tombs) ready(coll *collection, head *history.Head) (bool, error) {
	if !t.stable(coll, head.Version) {
		return false, nil
	}
	for _, tip := range head.Tips {
		if !t.stable(coll, tip) {
			return false, nil
		}
		_, h, err := t.db.logRecord(coll.num, tip)
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return false, err
		}
		if err == nil && h.seq > t.floor {
			return false, nil
		}
	}
	return true, nil
}

// stable reports whether everybody who shares the collection has said that he holds the version, and everybody who pulls it now has been
// sent it, who need not be the same.
func (t *tombs) stable(coll *collection, v id.Version) bool {
	if !t.limits.stable(coll.id, v) {
		return false
	}
	held, looked := t.pulled[coll]
	if !looked {
		held, _ = t.db.answers.held(coll.id)
		t.pulled[coll] = held
	}
	return held == nil || held.Covers(v)
}

// drop removes the log records on top of a tombstone and takes note that it is gone.
func (t *tombs) drop(coll *collection, head *history.Head) error {
	for _, v := range head.Tips {
		key := logKey(t.db.num, coll.num, v)
		value, err := t.db.s.kv.Get(key)
		if errors.Is(err, kv.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		t.remove(key, len(key)+len(value))
	}
	d, found := t.dropped[coll]
	if !found {
		d = drops{upTo: coll.dropped.Clone(), at: coll.droppedAt}
	}
	d.upTo.Add(head.Version)
	d.at = max(d.at, head.Time)
	t.dropped[coll] = d
	return nil
}

// queue looks at tombstones that wait and that everybody may know of by now, as many as there is room for. It leaps over
// those that somebody does not know of. A step goes on where the one before had no more room: the start of the queue is gone by then,
// and passing over what is gone costs as much as what is there.
func (t *tombs) queue(room int) error {
	prefix := append(dbKey(spaceReclaim, t.db.num), reclaimWaiting)
	from := prefix
	if t.db.queueAt != nil {
		from = t.db.queueAt
	}
	it, err := t.db.s.kv.Iter(from, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	t.db.queueAt = nil
	for ok := it.First(); ok; {
		l, valid := parseWaiting(it.Key())
		coll := t.db.byNum[l.coll]
		if !valid || coll == nil {
			return corrupt("tombstone that waits", nil)
		}
		if !t.stable(coll, l.version) {
			next := l
			next.version.Gen = 1<<64 - 1
			ok = it.SeekGE(append(waitingKey(t.db.num, next), 0))
			continue
		}
		if room <= 0 {
			t.got.More, t.db.queueAt = true, bytes.Clone(it.Key())
			return nil
		}
		early, err := t.take(l, true)
		if err != nil {
			return err
		}
		if early {
			// What the writer wrote later was learned later.
			next := l
			next.version.Gen = 1<<64 - 1
			ok = it.SeekGE(append(waitingKey(t.db.num, next), 0))
			continue
		}
		room--
		ok = it.Next()
	}
	return nil
}

func waitingKey(db uint32, l litter) []byte {
	key := append(dbKey(spaceReclaim, db), reclaimWaiting)
	key = binary.BigEndian.AppendUint32(key, l.coll)
	key = wire.AppendWriter(key, l.version.Writer)
	return binary.BigEndian.AppendUint64(key, l.version.Gen)
}

// parseWaiting reads what waitingKey wrote.
func parseWaiting(key []byte) (litter, bool) {
	const fixed = 6
	if len(key) != fixed+4+wire.WriterLen+8 {
		return litter{}, false
	}
	key = key[fixed:]
	return litter{
		coll: binary.BigEndian.Uint32(key), tomb: true,
		version: id.Version{Writer: wire.DecodeWriter(key[4:]), Gen: logGen(key)},
	}, true
}

func droppedKey(db, coll uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dbKey(spaceReclaim, db), reclaimDropped), coll)
}

func (d *drops) append(dst []byte) []byte {
	dst = append(dst, valueVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(d.at))
	return wire.AppendVector(dst, d.upTo)
}

func decodeDrops(data []byte) (drops, error) {
	c := cursor{data: data}
	c.version()
	d := drops{at: hlc.Time(c.uint64())}
	if c.bad {
		return d, corrupt("dropped tombstones", nil)
	}
	var err error
	if d.upTo, err = wire.DecodeVector(c.data); err != nil {
		return d, corrupt("dropped tombstones", err)
	}
	return d, nil
}

// loadDropped reads what was dropped from each collection, after loadCollections.
func (db *DB) loadDropped() error {
	prefix := append(dbKey(spaceReclaim, db.num), reclaimDropped)
	it, err := db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var d drops
		if d, err = decodeDrops(it.Value()); err != nil {
			break
		}
		var coll *collection
		if key := it.Key(); len(key) == 10 {
			coll = db.byNum[binary.BigEndian.Uint32(key[6:])]
		}
		if coll == nil {
			err = corrupt("dropped tombstones", nil)
			break
		}
		coll.dropped, coll.droppedAt = d.upTo, d.at
	}
	return errors.Join(err, it.Close())
}

// deletions is what is known about the tombstones of a collection, guarded by DB.mu.
type deletions uint8

const (
	deletionsUnknown deletions = iota
	noDeletions
	someDeletions
)

// buries reports whether a row that is absent may have a tombstone. In a collection in which nothing was deleted, that spares each
// new row a look-up.
func (db *DB) buries(coll *collection) (bool, error) {
	if coll.deletions == deletionsUnknown {
		lo := collKey(spaceTomb, db.num, coll.num)
		it, err := db.s.kv.Iter(lo, kv.PrefixEnd(lo))
		if err != nil {
			return true, err
		}
		coll.deletions = noDeletions
		if it.First() {
			coll.deletions = someDeletions
		}
		if err := it.Close(); err != nil {
			coll.deletions = deletionsUnknown
			return true, err
		}
	}
	return coll.deletions == someDeletions, nil
}
