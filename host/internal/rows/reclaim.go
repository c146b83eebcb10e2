package rows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// Limits say what may be reclaimed.
type Limits struct {
	// Before: what was committed later is kept while all history is within MaxBytes.
	Before time.Time
	// MaxBytes bounds the history that is kept for its own sake: the oldest goes, however young it is and whoever of the
	// other devices lacks it. Tombstones are not history: they wait for Stable alone.
	MaxBytes uint64
	// ReaderBytes bounds the history that watches and batches hold back by not having read it yet.
	ReaderBytes uint64
	// Stable returns what every device that shares the collection has said it holds, and whether anybody shares it. It must
	// not call the database. Nil: nothing is shared.
	Stable func(c id.Collection) (held id.Vector, shared bool)
	// Items bounds how many log records are looked at. Default 1000.
	Items int
}

func (l *Limits) withDefaults() Limits {
	out := *l
	if out.Stable == nil {
		out.Stable = func(id.Collection) (id.Vector, bool) { return nil, false }
	}
	if out.Items <= 0 {
		out.Items = 1000
	}
	return out
}

// stable reports whether everybody who shares the collection holds the version.
func (l *Limits) stable(c id.Collection, v id.Version) bool {
	held, shared := l.Stable(c)
	return !shared || held.Covers(v)
}

// Reclaimed says what a step of reclamation came to.
type Reclaimed struct {
	Commits, Records, Tombstones int
	// Bytes of rows, tombstones and log records that are gone.
	Bytes uint64
	// More: another step would find something to do.
	More bool
}

// Reclaim removes, in one bounded step, the oldest part of what nobody needs: commits that all readers have passed, with
// the log records that they superseded and the tombstones that everybody knows of. What is left is a log that tells each
// row once, from which another device converges as it would from the whole. The step is atomic. It does not wait for the
// disk: after a power loss it may have to be done again.
func (db *DB) Reclaim(limits Limits) (Reclaimed, error) {
	limits = limits.withDefaults()
	s := reclaiming{db: db, limits: &limits, floor: db.floor.Load()}
	if err := s.choose(); err != nil {
		return Reclaimed{}, first(db.Err(), err)
	}
	return s.carryOut()
}

// reclaiming is one step of reclamation.
type reclaiming struct {
	db     *DB
	limits *Limits
	// floor is where the log begins after the step.
	floor uint64
	// behind is seqHead.past of the last commit that goes.
	behind uint64
	// gone are superseded log records with their keys and sizes, dead the tombstones below the floor.
	gone []gone
	dead []litter
	got  Reclaimed
	b    *kv.Batch
	// freed is by how much the sum of DB.Used shrinks.
	freed uint64
}

// gone is a log record that goes.
type gone struct {
	key  []byte
	size int
}

// choose walks the sequence of commits from its beginning and gathers what goes, up to the first commit that stays. It
// needs no lock, since what it reads never changes.
func (s *reclaiming) choose() error {
	db := s.db
	end := db.Published().Seq
	it, err := db.s.kv.Iter(seqKey(db.num, s.floor+1), seqKey(db.num, end+1))
	if err != nil {
		return err
	}
	defer it.Close()
	now, behind := db.history()
	s.behind = behind
	for ok := it.First(); ok; ok = it.Next() {
		head, commits, left, err := decodeSeq(it.Value())
		if err != nil {
			return err
		}
		first, err := seqOf(it.Key())
		if err != nil {
			return err
		}
		last := first + uint64(len(commits)) - 1
		// The last value of the space stays: it tells where to go on.
		if last >= end || !s.mayGo(commits, left, last, now-s.behind) {
			break
		}
		if len(s.gone)+len(s.dead) >= s.limits.Items {
			s.got.More = true
			break
		}
		if err := s.take(left); err != nil {
			return err
		}
		s.got.Commits += len(commits)
		s.floor, s.behind = last, max(s.behind, head.past)
	}
	return nil
}

// mayGo decides about the oldest commits that are left, with so many bytes of history from them on.
func (s *reclaiming) mayGo(commits []learned, left []litter, last, history uint64) bool {
	why, _ := s.holds(commits, left, last, history)
	return why == heldByNobody
}

// hold is what keeps the oldest commits from going.
type hold uint8

const (
	heldByNobody hold = iota
	heldByReader
	heldByAge
	heldByMember
)

// holds says why the commits stay; with heldByMember also which version somebody may lack.
func (s *reclaiming) holds(commits []learned, left []litter, last, history uint64) (hold, Awaited) {
	if slowest, any := s.db.readers.slowest(); any && slowest < last && history <= s.limits.ReaderBytes {
		return heldByReader, Awaited{}
	}
	if history > s.limits.MaxBytes {
		return heldByNobody, Awaited{}
	}
	for i := range commits {
		if !commits[i].time.Wall().Before(s.limits.Before) {
			return heldByAge, Awaited{}
		}
	}
	for _, l := range left {
		if c, found := s.db.CollectionByNum(l.coll); found && !l.tomb && !s.limits.stable(c, l.version) {
			return heldByMember, Awaited{c, l.version}
		}
	}
	return heldByNobody, Awaited{}
}

// take gathers what commits left behind.
func (s *reclaiming) take(left []litter) error {
	for _, l := range left {
		if l.tomb {
			s.dead = append(s.dead, l)
			continue
		}
		key := logKey(s.db.num, l.coll, l.version)
		value, err := s.db.s.kv.Get(key)
		if errors.Is(err, kv.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		s.gone = append(s.gone, gone{key, len(key) + len(value)})
	}
	return nil
}

// carryOut removes what was chosen, under the lock of the database, since tombstones may have become rows again.
func (s *reclaiming) carryOut() (Reclaimed, error) {
	db := s.db
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return Reclaimed{}, err
	}
	s.b = db.s.kv.NewBatch()
	s.b.Reclaims()
	for _, g := range s.gone {
		s.remove(g.key, g.size)
	}
	s.got.Records = len(s.gone)
	tombs := newTombs(s)
	if err := tombs.bury(); err != nil {
		s.b.Discard()
		return Reclaimed{}, err
	}
	before := db.floor.Load()
	if s.floor == before && s.b.Empty() {
		s.b.Discard()
		return s.got, nil
	}
	if s.floor > before {
		s.b.DeleteRange(seqKey(db.num, 0), seqKey(db.num, s.floor+1))
	}
	// Whoever reads and misses something finds the new floor.
	db.floor.Store(s.floor)
	mark := floorMark{floor: s.floor, past: s.behind, at: db.seq, used: db.used - s.freed}
	s.b.Set(floorKey(db.num), mark.append(nil))
	if err := s.b.Commit(kv.NoSync); err != nil {
		db.floor.Store(before)
		return Reclaimed{}, writeError(err)
	}
	db.used, db.behind = mark.used, s.behind
	db.standing.bytes -= int64(tombs.size)
	tombs.done()
	s.got.Bytes = s.freed
	return s.got, nil
}

func (s *reclaiming) remove(key []byte, size int) {
	s.b.Delete(key)
	s.freed += uint64(size)
}

// history returns seqHead.past of the last commit, and of the last one that was reclaimed.
func (db *DB) history() (past, behind uint64) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.past, db.behind
}

// floorMark is the value of floorKey.
type floorMark struct {
	// floor is the last commit that was reclaimed, and past its seqHead.past.
	floor, past uint64
	// used is the sum of DB.Used when at was the last commit.
	at, used uint64
}

// Kinds of keys in space 1a.
const (
	reclaimFloor   = 0x00
	reclaimDropped = 0x01
	reclaimWaiting = 0x02
)

func floorKey(db uint32) []byte { return append(dbKey(spaceReclaim, db), reclaimFloor) }

func (m *floorMark) append(dst []byte) []byte {
	dst = append(dst, valueVersion)
	for _, n := range []uint64{m.floor, m.past, m.at, m.used} {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

func decodeFloor(data []byte) (floorMark, error) {
	c := cursor{data: data}
	c.version()
	m := floorMark{floor: c.uvarint(), past: c.uvarint(), at: c.uvarint(), used: c.uvarint()}
	if c.bad || len(c.data) > 0 {
		return floorMark{}, corrupt("floor of the log", nil)
	}
	return m, nil
}

// loadFloor reads where the log begins, after loadLog.
func (db *DB) loadFloor() error {
	data, err := db.s.kv.Get(floorKey(db.num))
	if errors.Is(err, kv.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	m, err := decodeFloor(data)
	if err != nil {
		return err
	}
	if m.at > db.seq {
		return corrupt("floor of the log", fmt.Errorf("made at commit %d, the last one is %d", m.at, db.seq))
	}
	db.floor.Store(m.floor)
	db.behind = m.past
	if m.at == db.seq {
		db.used = m.used
	}
	return nil
}
