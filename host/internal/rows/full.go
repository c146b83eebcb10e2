package rows

import (
	"context"
	"errors"
	"fmt"
	"math"

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
// tombstones and the log. Live is what is in force, which Settings.QuotaBytes bounds: rows and tombstones, twice, since each of them is
// in the log as well. Garbage is the rest, history, which Reclaim gives back in its own time. Both are exact.
func (db *DB) Used() (live, garbage uint64, err error) {
	if err := db.counted(context.Background()); err != nil {
		return 0, 0, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return 0, 0, err
	}
	if err := db.countStanding(); err != nil {
		return 0, 0, err
	}
	live, garbage = db.parted(db.used, db.standing.bytes)
	return live, garbage, nil
}

// parted parts what is used.
func (db *DB) parted(used uint64, standing int64) (live, garbage uint64) {
	live = min(2*uint64(standing), used)
	return live, used - live
}

// quotaRoom is how much more may be in force, as far as the quota goes; it is more than that while it need not be known exactly.
// Called with mu held.
func (db *DB) quotaRoom() (uint64, error) {
	quota := db.rec.Settings.QuotaBytes
	if quota == 0 {
		return math.MaxUint64, nil
	}
	if !db.standing.known && db.used < quota {
		return quota - db.used, nil
	}
	if err := db.countStanding(); err != nil {
		return 0, err
	}
	live, _ := db.parted(db.used, db.standing.bytes)
	return quota - min(live, quota), nil
}

// checkQuota refuses a transaction that puts something and would leave more in force than the quota. One that only deletes
// passes: it is how an application makes room.
func (t *txn) checkQuota() error {
	db := t.db
	quota := db.rec.Settings.QuotaBytes
	used := uint64(int64(db.used) + t.grown)
	if quota == 0 || !t.puts || !db.standing.known && used <= quota {
		return nil
	}
	if err := db.countStanding(); err != nil {
		return err
	}
	live, garbage := db.parted(used, db.standing.bytes+t.stands)
	if live <= quota {
		return nil
	}
	return fmt.Errorf("%w: database %s would have %d bytes in force, its quota is %d; delete something or raise the quota (%d bytes of history do not count)",
		ErrQuota, db.name, live, quota, garbage)
}
