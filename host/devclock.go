package host

import (
	"sync/atomic"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
)

// devClock is the clock of a daemon in development: the machine's, shifted. It moves no timer.
type devClock struct {
	base  func() time.Time
	ahead atomic.Int64
	moved func(ahead time.Duration)
}

func (c *devClock) now() time.Time { return c.base().Add(time.Duration(c.ahead.Load())) }

// Shift implements api.DevelopmentClock.
func (c *devClock) Shift(by time.Duration) (time.Time, time.Duration) {
	ahead := time.Duration(c.ahead.Add(int64(by)))
	if by != 0 {
		c.moved(ahead)
	}
	return c.base().Add(ahead), ahead
}

// development lets the owner shift the clock if the configuration says so, and says so loudly.
func (h *Host) development() {
	if !h.opts.Config.Clock.Development {
		return
	}
	h.log.Warn("clock.development is on: the owner may shift the clock by which rows are stamped; for tests only")
	h.dev = &devClock{base: h.opts.Seams.Now, moved: func(ahead time.Duration) {
		h.log.Warn("the clock was shifted", "ahead", ahead)
	}}
	h.opts.Seams.Now = h.dev.now
}

// shiftable is what the API may shift, nil but in development.
func (h *Host) shiftable() api.DevelopmentClock {
	if h.dev == nil {
		return nil
	}
	return h.dev
}
