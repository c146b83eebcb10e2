package rows

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// A device that was set back (a virtual machine went back to a snapshot, files were copied over) makes generations again
// that it has made before, and cannot know it. Whoever holds the former ones can: each side of a pull shows the other one
// witnesses, what it holds of the other's writers, the newest of each and then ever older ones at twice the distance. A
// witness that is not what the device itself has under that name is proof, and the newest one that is the same bounds how
// far back it was set.

// SetBackError says that others hold what this device made and does not know of: it is in an earlier state than it was.
// Renew mends that.
type SetBackError struct {
	// Shown is a version that others hold.
	Shown id.Version
	// Made is how many generations this device has made by its own account.
	Made uint64
	// Sure says up to which generation the names of the writer mean the same to the others; none is known when it is 0.
	Sure uint64
}

func (e *SetBackError) Error() string {
	return fmt.Sprintf("others hold version %s of this device, which has made %d, and knows nothing of that one: its data directory was set back to an earlier state or copied from another device",
		e.Shown, e.Made)
}

// maxSkipped bounds how many records outside of the scopes are passed over in search of one inside.
const maxSkipped = 64

// Witnesses returns what is held of the writers of a device in the scopes.
func (db *DB) Witnesses(scopes []id.Scope, device id.Device) ([]delta.Witness, error) {
	know := db.Published().Know
	type where struct {
		c id.Collection
		w id.Writer
	}
	done := map[where]bool{}
	var list []delta.Witness
	for _, s := range scopes {
		num, known := db.CollectionNum(s.Collection)
		if !known {
			continue
		}
		for w := range know.At(s) {
			if w.Device != device || done[where{s.Collection, w}] {
				continue
			}
			done[where{s.Collection, w}] = true
			of, err := db.witnessesOf(s.Collection, num, w, scopes)
			if err != nil {
				return nil, err
			}
			list = append(list, of...)
			if len(list) >= delta.MaxWitnesses {
				return list[:delta.MaxWitnesses], nil
			}
		}
	}
	return list, nil
}

// witnessesOf walks back through what one writer wrote to one collection, in ever longer strides.
func (db *DB) witnessesOf(c id.Collection, num uint32, w id.Writer, scopes []id.Scope) ([]delta.Witness, error) {
	lo, hi := logKey(db.num, num, id.Version{Writer: w}), logKey(db.num, num, id.Version{Writer: w, Gen: math.MaxUint64})
	it, err := db.s.kv.Iter(lo, hi)
	if err != nil {
		return nil, err
	}
	var list []delta.Witness
	skipped, stride := 0, uint64(1)
	for ok := it.Last(); ok && skipped < maxSkipped && err == nil; {
		v := id.Version{Writer: w, Gen: logGen(it.Key())}
		var rec wire.Record
		var h logHeader
		if rec, h, err = decodeLogRecord(it.Value(), v); err != nil {
			break
		}
		if !slices.ContainsFunc(scopes, func(s id.Scope) bool { return s.Has(c, rec.Key) }) {
			skipped++
			ok = it.Prev()
			continue
		}
		list = append(list, delta.Witness{Collection: c, Version: v, Digest: recordDigest(c, &rec, h)})
		if v.Gen <= stride {
			break
		}
		ok = it.SeekLT(logKey(db.num, num, id.Version{Writer: w, Gen: v.Gen - stride + 1}))
		stride *= 2
	}
	return list, errors.Join(err, it.Close())
}

// recordDigest tells two records under one name apart. Two timelines of one device part in time, so the time of the commit
// and the place of the record in it say enough, and the value need not be at hand.
func recordDigest(c id.Collection, rec *wire.Record, h logHeader) delta.Digest {
	data := make([]byte, 0, 128)
	data = append(data, byte(c.Kind), byte(rec.Kind))
	for _, n := range []uint64{rec.Version.Gen, h.index, h.count, uint64(h.time)} {
		data = binary.BigEndian.AppendUint64(data, n)
	}
	data = wire.AppendWriter(data, rec.Version.Writer)
	for _, s := range []string{string(c.Name.Owner), c.Name.Local, rec.Key} {
		data = binary.AppendUvarint(data, uint64(len(s)))
		data = append(data, s...)
	}
	sum := sha256.Sum256(data)
	return delta.Digest(sum[:])
}

// Examine holds the witnesses of a peer, and the vectors that it says it holds, against what this device has made. It
// returns a SetBackError when they prove that this device was set back.
func (db *DB) Examine(witnesses []delta.Witness, held []delta.ScopeVector) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return err
	}
	made := db.madeHere()
	same := map[id.Writer][]uint64{}
	parted := id.Vector{}
	part := func(v id.Version) {
		if least, found := parted[v.Writer]; !found || v.Gen < least {
			parted[v.Writer] = v.Gen
		}
	}
	for _, w := range witnesses {
		g, mine := made[w.Version.Writer]
		if !mine || w.Version.Gen > g && w.Version.Writer != db.writer {
			continue // nothing that this device believes to have made
		}
		verdict, err := db.examine(w, g)
		if err != nil {
			return err
		}
		switch verdict {
		case isSame:
			same[w.Version.Writer] = append(same[w.Version.Writer], w.Version.Gen)
		case isOther:
			part(w.Version)
		}
	}
	for _, sv := range held {
		if g := sv.Vector[db.writer]; g > made[db.writer] {
			part(id.Version{Writer: db.writer, Gen: g})
		}
	}
	// What came after the first difference, in whichever epoch, went with it.
	for _, u := range db.epochs() {
		least, found := parted[u]
		if !found {
			continue
		}
		e := &SetBackError{Shown: id.Version{Writer: u, Gen: least}, Made: made[u]}
		for _, g := range same[u] {
			if g < least {
				e.Sure = max(e.Sure, g)
			}
		}
		return e
	}
	return nil
}

type verdict int

const (
	// isUnknown: the log no longer has the record.
	isUnknown verdict = iota
	isSame
	isOther
)

// examine looks up what this device has under the name of the witness. Called with mu held.
func (db *DB) examine(w delta.Witness, made uint64) (verdict, error) {
	if w.Version.Gen > made {
		return isOther, nil
	}
	if coll := db.colls[w.Collection]; coll != nil {
		rec, h, err := db.logRecord(coll.num, w.Version)
		if err == nil && recordDigest(w.Collection, &rec, h) == w.Digest {
			return isSame, nil
		}
		if err == nil {
			return isOther, nil
		}
		if !errors.Is(err, kv.ErrNotFound) {
			return isUnknown, err
		}
	}
	for _, coll := range db.colls {
		_, _, err := db.logRecord(coll.num, w.Version)
		if err == nil {
			return isOther, nil
		}
		if !errors.Is(err, kv.ErrNotFound) {
			return isUnknown, err
		}
	}
	return isUnknown, nil
}

// epochs are this device as a writer, the oldest first. Called with mu held.
func (db *DB) epochs() []id.Writer {
	var list []id.Writer
	for _, f := range db.rec.Former {
		list = append(list, id.Writer{Device: db.writer.Device, Epoch: f.Epoch})
	}
	return append(list, db.writer)
}

// madeHere is what this device has made by its own account. Called with mu held.
func (db *DB) madeHere() id.Vector {
	v := db.rec.formerVector(db.writer.Device)
	v[db.writer] = db.know.Own().Gen
	return v
}
