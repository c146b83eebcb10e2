package host

import (
	"errors"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// The lock of a process that was killed hard is waited for; that of one that lives for no longer than a second, and nothing else is.
func TestOpenUnlocked(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		locked int
		then   error
		want   error
		waited time.Duration
	}{
		"free":         {0, nil, nil, 0},
		"dying":        {3, nil, nil, 3 * lockPause},
		"dying broken": {3, broken, broken, 3 * lockPause},
		"alive":        {1000, nil, kv.ErrLocked, time.Second},
	} {
		var waited time.Duration
		_, err := openUnlocked(func() (*kv.Store, error) {
			if c.locked--; c.locked >= 0 {
				return nil, kv.ErrLocked
			}
			return nil, c.then
		}, func(d time.Duration) { waited += d })
		if !errors.Is(err, c.want) || waited != c.waited {
			t.Errorf("%s: %v after %v, want %v after %v", name, err, waited, c.want, c.waited)
		}
	}
}
