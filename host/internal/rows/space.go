package rows

import (
	"context"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// Space is what a database takes. It comes from counters that are kept anyhow, and from the index of the tables.
type Space struct {
	// Live and Garbage are what Used returns.
	Live, Garbage uint64
	// Disk is about what is on the disk, Log of it. What was written last is not in it yet.
	Disk, Log uint64
	// Floor is the last commit that was reclaimed, Seq the last one.
	Floor, Seq uint64
}

// Space returns what the database takes now.
func (db *DB) Space() (Space, error) {
	if err := db.counted(context.Background()); err != nil {
		return Space{}, err
	}
	db.mu.Lock()
	s := Space{Floor: db.floor.Load(), Seq: db.seq}
	err := db.countStanding()
	s.Live, s.Garbage = db.parted(db.used, db.standing.bytes)
	db.mu.Unlock()
	if err != nil {
		return Space{}, fmt.Errorf("count the rows: %w", first(db.Err(), err))
	}
	for space := byte(spaceDatabase); space <= spaceLetter; space++ {
		prefix := dbKey(space, db.num)
		bytes, err := db.s.kv.DiskBytes(prefix, kv.PrefixEnd(prefix))
		if err != nil {
			return Space{}, fmt.Errorf("size of space %02x: %w", space, first(db.Err(), err))
		}
		s.Disk += bytes
		if space == spaceLog || space == spaceSeq {
			s.Log += bytes
		}
	}
	return s, nil
}

// Disk is what the store takes of the disk, with all its databases, and how much of that is left.
type Disk struct {
	kv.Usage
	// Free is meant only where the file system tells it.
	Free  uint64
	Known bool
}

// Disk looks at the disk now.
func (s *Store) Disk() Disk {
	free, known := s.kv.Free()
	return Disk{Usage: s.kv.Usage(), Free: free, Known: known}
}

// Held says what keeps Reclaim from going on.
type Held struct {
	// Reader: a watch or a batch has not read the oldest commits yet.
	Reader bool
	// Awaited are versions of which somebody who shares the collection has not said that he holds them: the first one
	// found of each collection.
	Awaited []Awaited
}

// Awaited is a version that a collection's sharers have to know of before anything goes.
type Awaited struct {
	Collection id.Collection
	Version    id.Version
}

func (h *Held) await(a Awaited) {
	for _, x := range h.Awaited {
		if x.Collection == a.Collection {
			return
		}
	}
	h.Awaited = append(h.Awaited, a)
}

// Held looks at the oldest commits and at tombstones that wait, at so many of them as a step of Reclaim would. What is kept
// for its age is held by nobody.
func (db *DB) Held(limits Limits) (held Held, err error) {
	s := reclaiming{db: db, floor: db.floor.Load()}
	limits = limits.withDefaults()
	s.limits = &limits
	if err := s.oldest(&held); err != nil {
		return Held{}, first(db.Err(), err)
	}
	if err := s.waiting(&held); err != nil {
		return Held{}, first(db.Err(), err)
	}
	return held, nil
}

// oldest looks at the first value of the sequence of commits.
func (s *reclaiming) oldest(held *Held) error {
	db := s.db
	end := db.Published().Seq
	it, err := db.s.kv.Iter(seqKey(db.num, s.floor+1), seqKey(db.num, end+1))
	if err != nil {
		return err
	}
	defer it.Close()
	if !it.First() {
		return nil
	}
	_, commits, left, err := decodeSeq(it.Value())
	if err != nil {
		return err
	}
	first, err := seqOf(it.Key())
	if err != nil {
		return err
	}
	last := first + uint64(len(commits)) - 1
	now, behind := db.history()
	if last >= end {
		return nil
	}
	switch why, awaited := s.holds(commits, left, last, now-behind); why {
	case heldByReader:
		held.Reader = true
	case heldByMember:
		held.await(awaited)
	}
	return nil
}

// waiting looks at the queue of tombstones.
func (s *reclaiming) waiting(held *Held) error {
	prefix := append(dbKey(spaceReclaim, s.db.num), reclaimWaiting)
	it, err := s.db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok, n := it.First(), 0; ok && n < s.limits.Items; n++ {
		l, valid := parseWaiting(it.Key())
		if !valid {
			return corrupt("tombstone that waits", nil)
		}
		coll, found := s.db.CollectionByNum(l.coll)
		if !found || s.limits.stable(coll, l.version) {
			ok = it.Next()
			continue
		}
		held.await(Awaited{coll, l.version})
		ok = it.SeekGE(waitingKey(s.db.num, litter{coll: l.coll + 1}))
	}
	return nil
}
