package hlc_test

import (
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/hlc"
)

var base = time.Date(2026, 11, 22, 5, 0, 0, 123_456_000, time.UTC)

func TestWallRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wall := time.UnixMicro(rapid.Int64Range(0, 1<<52-1).Draw(t, "micros")).UTC()
		if got := hlc.FromWall(wall).Wall(); !got.Equal(wall) {
			t.Fatalf("%s became %s", wall, got)
		}
		if later := hlc.FromWall(wall) + 1<<12 - 1; !later.Wall().Equal(wall) {
			t.Fatalf("the counter reaches into the wall time: %s became %s", wall, later.Wall())
		}
	})
}

func TestFromWallOutOfRange(t *testing.T) {
	tests := map[string]struct {
		wall time.Time
		want hlc.Time
	}{
		"before 1970":      {time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC), 0},
		"the zero time":    {time.Time{}, 0},
		"1970":             {time.UnixMicro(0), 0},
		"one microsecond":  {time.UnixMicro(1), 1 << 12},
		"after the end":    {time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), 1<<64 - 1<<12},
		"long after it":    {time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 1<<64 - 1<<12},
		"the last instant": {time.UnixMicro(1<<52 - 1), 1<<64 - 1<<12},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := hlc.FromWall(test.wall); got != test.want {
				t.Errorf("%#x, want %#x", uint64(got), uint64(test.want))
			}
		})
	}
}

// Whatever the wall clock does and whatever is observed, times only grow, are not behind the wall clock and are later
// than everything taken note of.
func TestNextIsMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c hlc.Clock
		var last, seen hlc.Time
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now := base.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "seconds")) * time.Second)
			remote := hlc.FromWall(base.Add(time.Duration(rapid.IntRange(-120, 120).Draw(t, "remote")) * time.Second))
			if rapid.Bool().Draw(t, "observe") && c.Observe(now, remote) {
				seen = max(seen, remote)
			}
			next := c.Next(now)
			if next <= last || next <= seen || next < hlc.FromWall(now) {
				t.Fatalf("%#x after %#x, having seen %#x, at %#x", next, last, seen, hlc.FromWall(now))
			}
			last = next
		}
	})
}

// A clock that shows the end of time for a while leaves no trace: what is written then and afterwards is what others take.
func TestNextPassesOverTheEndOfTime(t *testing.T) {
	var c hlc.Clock
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	before := c.Next(now)
	far := c.Next(now.AddDate(100, 0, 0))
	if far <= before || far > hlc.MaxTime {
		t.Errorf("at the end of time %v after %v", far, before)
	}
	if after := c.Next(now.Add(time.Second)); after <= far || !after.Wall().Equal(now.Add(time.Second)) {
		t.Errorf("afterwards %v, want a second after %v", after.Wall(), now)
	}
}

func TestObserveDrift(t *testing.T) {
	limit := hlc.FromWall(base.Add(hlc.MaxDrift))
	tests := map[string]struct {
		remote hlc.Time
		want   bool
	}{
		"long ago":     {0, true},
		"now":          {hlc.FromWall(base), true},
		"at the limit": {limit, true},
		"beyond it":    {limit + 1, false},
		"for ever":     {1<<64 - 1, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var c hlc.Clock
			if got := c.Observe(base, test.remote); got != test.want {
				t.Errorf("followed: %v, want %v", got, test.want)
			}
			next, want := c.Next(base), hlc.FromWall(base)
			if test.want {
				want = max(want, test.remote+1)
			}
			if next != want {
				t.Errorf("the next time is %#x, want %#x", uint64(next), uint64(want))
			}
		})
	}
}

func TestClockIsSafeForConcurrentUse(t *testing.T) {
	var c hlc.Clock
	var wg sync.WaitGroup
	const workers, each = 4, 500
	times := make([][]hlc.Time, workers)
	for i := range times {
		wg.Go(func() {
			for range each {
				times[i] = append(times[i], c.Next(base))
				c.Observe(base, hlc.FromWall(base))
			}
		})
	}
	wg.Wait()
	all := map[hlc.Time]bool{}
	for _, list := range times {
		for _, at := range list {
			all[at] = true
		}
	}
	if len(all) != workers*each {
		t.Errorf("%d different times, want %d", len(all), workers*each)
	}
}
