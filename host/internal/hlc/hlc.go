// Package hlc is hybrid logical time: wall-clock time that never runs backwards and that also respects causality
// (S. Kulkarni et al., "Logical Physical Clocks", OPODIS 2014).
//
// The package reads no clock: whoever uses it hands the wall time in. Read Time and Clock.
package hlc

import (
	"math"
	"sync"
	"time"
)

// logicalBits is how much of a Time counts events within one microsecond.
const logicalBits = 12

// Time is microseconds since 1970 in the upper 52 bits and a counter in the lower 12. It orders like an integer and
// lasts until the year 2112.
type Time uint64

// maxMicros is the last microsecond that a Time can hold.
const maxMicros = 1<<(64-logicalBits) - 1

// FromWall returns the Time of a wall-clock reading; readings before 1970 become 0 and those after 2112 the last
// microsecond of it.
func FromWall(t time.Time) Time {
	return Time(min(max(0, t.UnixMicro()), maxMicros)) << logicalBits
}

// Wall returns the wall-clock part, to the microsecond.
func (t Time) Wall() time.Time { return time.UnixMicro(int64(t >> logicalBits)).UTC() }

// Clock hands out increasing times. Safe for concurrent use.
type Clock struct {
	// mu guards last.
	mu   sync.Mutex
	last Time
}

// MaxTime is the latest time of a commit that leaves room for what will be written on top of it. Commits beyond it are refused everywhere.
const MaxTime Time = math.MaxUint64 - 1<<32

// Next returns a time later than every one returned or observed before, and not earlier than now. A wall clock beyond MaxTime is out of
// order and counts for nothing: whoever followed it could never write again what others take.
func (c *Clock) Next(now time.Time) Time {
	wall := FromWall(now)
	if wall > MaxTime {
		wall = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last+1, wall)
	return c.last
}

// MaxDrift is how far ahead of the local wall clock a remote time may lie and still move the local clock. Beyond it the
// remote clock is taken to be wrong, and following it would spread the error to everyone.
const MaxDrift = time.Minute

// Observe takes note of a time seen elsewhere, so that later local times are greater. It reports false, and does
// nothing, when t lies more than MaxDrift ahead of now.
func (c *Clock) Observe(now time.Time, t Time) bool {
	if t > FromWall(now.Add(MaxDrift)) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last, t)
	return true
}
