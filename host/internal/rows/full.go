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
