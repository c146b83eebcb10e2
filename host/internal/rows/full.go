package rows

import (
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// Errors of writes for which there is no room. Reading goes on as ever, and so do writes as soon as there is room again.
var (
	// ErrReadOnlyStore means that the disk is full; it comes together with kv.ErrFull.
	ErrReadOnlyStore = errors.New("store is read-only until there is space on the disk")
	// ErrQuota means that what is in force in the database would grow beyond its quota.
	ErrQuota = errors.New("quota exceeded")
)

// writeError says what a full disk means for the store.
func writeError(err error) error {
	if errors.Is(err, kv.ErrFull) {
		return fmt.Errorf("%w: %w", ErrReadOnlyStore, err)
	}
	return err
}

// Used returns how many bytes of keys and values the database has, before Pebble compresses them and adds its own: in rows,
// tombstones and the log. Live is what is in force, which Settings.QuotaBytes bounds, and garbage is history, which Reclaim gives
// back in its own time. The sum is exact, kept with each commit; where it is parted is about right.
func (db *DB) Used() (live, garbage uint64) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.parted(db.used, db.past, db.seq)
}

// parted parts what is used when the last commit is seq, and past its seqHead.past. Called with mu held.
func (db *DB) parted(used, past, seq uint64) (live, garbage uint64) {
	history := past - db.behind
	garbage = min(history-min(history, (seq-db.floor.Load())*commitOverhead), used)
	return used - garbage, garbage
}

// checkQuota refuses a transaction that puts something and would leave more in force than the quota. One that only deletes
// passes: it is how an application makes room.
func (t *txn) checkQuota() error {
	db := t.db
	quota := db.rec.Settings.QuotaBytes
	live, garbage := db.parted(uint64(int64(db.used)+t.grown), t.past, db.seq+uint64(len(t.commits)))
	if quota == 0 || !t.puts || live <= quota {
		return nil
	}
	return fmt.Errorf("%w: database %s would have %d bytes in force, its quota is %d; delete something or raise the quota (%d bytes of history do not count)",
		ErrQuota, db.name, live, quota, garbage)
}
