package host

import (
	"errors"
	"time"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// How often a store that is locked is tried, and the pause between. A daemon that was killed hard holds the lock until the kernel
// has taken its memory apart, which is after whoever killed it goes on; one that lives holds it for longer than this.
const (
	lockTries = 21
	lockPause = 50 * time.Millisecond
)

// openUnlocked calls open, again and for a moment while somebody holds the lock.
func openUnlocked(open func() (*kv.Store, error), pause func(time.Duration)) (*kv.Store, error) {
	for range lockTries - 1 {
		if s, err := open(); !errors.Is(err, kv.ErrLocked) {
			return s, err
		}
		pause(lockPause)
	}
	return open()
}
