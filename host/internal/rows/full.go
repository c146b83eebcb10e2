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
	// ErrQuota means that the database would grow beyond its quota.
	ErrQuota = errors.New("quota exceeded")
)

// writeError says what a full disk means for the store.
func writeError(err error) error {
	if errors.Is(err, kv.ErrFull) {
		return fmt.Errorf("%w: %w", ErrReadOnlyStore, err)
	}
	return err
}

// Used is the size that Settings.QuotaBytes bounds: the bytes of keys and values of rows, tombstones and the log, before
// Pebble compresses them and adds its own. On disk that is usually less. It is exact, kept with each commit.
func (db *DB) Used() uint64 {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.used
}

// checkQuota refuses a transaction that puts something and would leave the database larger than its quota. One that only
// deletes passes, although it makes the log longer: it is how an application makes room.
func (t *txn) checkQuota() error {
	quota := t.db.rec.Settings.QuotaBytes
	after := uint64(int64(t.db.used) + t.grown)
	if quota == 0 || !t.puts || after <= quota {
		return nil
	}
	return fmt.Errorf("%w: database %s would take %d bytes, its quota is %d; delete something or raise the quota", ErrQuota, t.db.name, after, quota)
}
