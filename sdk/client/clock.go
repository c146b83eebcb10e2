package client

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// DevelopmentClock is the clock of a daemon in development.
type DevelopmentClock struct {
	Now time.Time `json:"now"`
	// Shift is how far Now is ahead of the machine's clock; it ends with the daemon.
	Shift time.Duration `json:"-"`
}

// MarshalJSON writes the shift in seconds.
func (k DevelopmentClock) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Now          time.Time `json:"now"`
		ShiftSeconds float64   `json:"shift_seconds"`
	}{k.Now, k.Shift.Seconds()})
}

// ShiftClock moves the clock by which a daemon in development stamps what it writes; by nothing, it is only read. It takes
// the owner in person, and fails with ErrPrecondition unless the daemon's configuration says clock.development.
func (c *Client) ShiftClock(ctx context.Context, by time.Duration) (DevelopmentClock, error) {
	resp, err := c.api.AdjustClock(ctx, &nodev1.AdjustClockRequest{By: durationpb.New(by)})
	if err != nil {
		return DevelopmentClock{}, c.failure(err)
	}
	return DevelopmentClock{Now: timeOf(resp.GetNow()), Shift: resp.GetShift().AsDuration()}, nil
}
