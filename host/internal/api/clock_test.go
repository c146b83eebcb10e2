package api

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"
)

// fakeClock is a clock that stands still.
type fakeClock struct{ ahead time.Duration }

func (c *fakeClock) Shift(by time.Duration) (time.Time, time.Duration) {
	c.ahead += by
	return time.Unix(1_700_000_000, 0).Add(c.ahead), c.ahead
}

func TestAdjustClock(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.client()
	for _, want := range []time.Duration{0, time.Hour, 25 * time.Hour, 24 * time.Hour} {
		now, err := c.ShiftClock(ctx, want-w.clock.ahead)
		if err != nil || now.Shift != want || !now.Now.Equal(time.Unix(1_700_000_000, 0).Add(want)) {
			t.Errorf("shifted to %v: %+v, %v", want, now, err)
		}
	}
	if _, err := c.ShiftClock(as(ctx, friend), time.Hour); !errors.Is(err, client.ErrNoAccess) {
		t.Errorf("shifted by another: %v", err)
	}
	if got := reasonOf(must(w.raw.AdjustClock(ctx, &nodev1.AdjustClockRequest{By: durationpb.New(1 << 62)}))); got != "InvalidArgument INVALID" {
		t.Errorf("shifted by centuries: %s", got)
	}
	w.server.opts.Clock = nil
	if _, err := c.ShiftClock(ctx, 0); !errors.Is(err, client.ErrPrecondition) {
		t.Errorf("read while not in development: %v", err)
	}
}
