package rows

import (
	"context"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// standing is how many bytes the rows and tombstones of a database take. It is counted when it is first asked for, and kept with each
// commit from then on.
type standing struct {
	known bool
	// bytes is by how much it has grown since the round began while it is not known.
	bytes int64
	// round counts how often counting has begun: what another round adds up is of no use.
	round uint64
}

// reset makes what is known void, for a change that does not say by how much it has grown, or to begin to count. Called with
// DB.mu held.
func (s *standing) reset() { *s = standing{round: s.round + 1} }

// counted sees to it that standing is known, without keeping commits waiting: it goes through the rows as they were at one
// moment, and adds what changed meanwhile. Called without mu.
func (db *DB) counted(ctx context.Context) error {
	// Two that count at once would make each other begin again.
	db.counting.Lock()
	defer db.counting.Unlock()
	for {
		known, err := db.countOnce(ctx)
		if known || err != nil {
			return err
		}
	}
}

// countOnce fails to know when something has changed that cannot be added.
func (db *DB) countOnce(ctx context.Context) (known bool, err error) {
	snap, round, err := db.beginCount()
	if snap == nil {
		return true, err
	}
	bytes, err := countRows(ctx, snap, db.num)
	if err = first(err, snap.Close()); err != nil {
		return false, fmt.Errorf("count the rows of %s: %w", db.name, err)
	}
	return db.endCount(round, bytes)
}

// beginCount returns the rows to be counted, nil if there is nothing to do, and the round that has begun.
func (db *DB) beginCount() (snap *kv.Snapshot, round uint64, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil || db.standing.known {
		return nil, 0, err
	}
	db.standing.reset()
	return db.s.kv.Snapshot(), db.standing.round, nil
}

// endCount takes what the rows came to that the round began with.
func (db *DB) endCount(round uint64, bytes int64) (known bool, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.standing.round == round && !db.standing.known {
		db.standing.known = true
		db.standing.bytes += bytes
	}
	return db.standing.known, db.alive()
}

// countStanding goes through all rows unless that was done before. Called with mu held, by who was not able to tell before that
// it would need to know.
func (db *DB) countStanding() error {
	if db.standing.known {
		return nil
	}
	bytes, err := countRows(context.Background(), db.s.kv, db.num)
	if err != nil {
		return err
	}
	db.standing.reset()
	db.standing.known, db.standing.bytes = true, bytes
	return nil
}

// countRows adds up what the rows and tombstones of a database take.
func countRows(ctx context.Context, from kv.Reader, num uint32) (bytes int64, err error) {
	const askEvery = 4096 // rows
	for _, space := range []byte{spaceRow, spaceTomb} {
		lo := dbKey(space, num)
		it, err := from.Iter(lo, kv.PrefixEnd(lo))
		if err != nil {
			return 0, err
		}
		n := 0
		for ok := it.First(); ok && (n%askEvery != 0 || ctx.Err() == nil); ok = it.Next() {
			bytes += int64(len(it.Key()) + len(it.Value()))
			n++
		}
		if err := first(it.Close(), ctx.Err()); err != nil {
			return 0, err
		}
	}
	return bytes, nil
}

// lockFor locks mu for commits that may take so many bytes, 0 if they can only make room. When that cannot be held against the quota yet, it counts before.
// An error of that is for who asks under the lock.
func (db *DB) lockFor(most uint64) {
	db.mu.Lock()
	quota := db.rec.Settings.QuotaBytes
	if most == 0 || quota == 0 || db.standing.known || db.used+most <= quota {
		return
	}
	db.mu.Unlock()
	_ = db.counted(context.Background())
	db.mu.Lock()
}

// most is more than the step can take.
func (s *Step) most() (most uint64) {
	const perRecord, copies = 2 << 10, 4
	for i := range s.Commits {
		for j := range s.Commits[i].Records {
			rec := &s.Commits[i].Records[j].Record
			most += uint64(perRecord + copies*(len(rec.Key)+len(rec.Value)))
		}
	}
	return most
}

// countAll counts what there are quotas for, so that who comes to one does not have to wait for it.
func (s *Store) countAll(ctx context.Context) {
	dbs, _ := s.Databases()
	for _, db := range dbs {
		if db.Settings().QuotaBytes > 0 && ctx.Err() == nil {
			_ = db.counted(ctx) // who needs it tries again and is told
		}
	}
}
