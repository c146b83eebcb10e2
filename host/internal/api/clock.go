package api

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/acl"
)

// DevelopmentClock is the clock of a daemon in development.
type DevelopmentClock interface {
	// Shift moves the clock and returns what it shows then, and how far that is ahead of the machine's.
	Shift(by time.Duration) (now time.Time, ahead time.Duration)
}

// maxShift bounds one move of the clock: far enough for any test of what happens with time.
const maxShift = 100 * 365 * 24 * time.Hour

// AdjustClock is for the owner in person, and for daemons in development.
func (s *Server) AdjustClock(ctx context.Context, req *nodev1.AdjustClockRequest) (*nodev1.AdjustClockResponse, error) {
	caller, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	if caller != s.opts.Owner {
		return nil, fmt.Errorf("%w: %s may not touch the clock; only %s in person may", acl.ErrNoAccess, caller, s.opts.Owner)
	}
	if s.opts.Clock == nil {
		return nil, fmt.Errorf("%w: this daemon is not in development; set clock.development: true for one that holds no real data", ErrPrecondition)
	}
	by := req.GetBy().AsDuration()
	if req.GetBy() != nil && (req.GetBy().CheckValid() != nil || by.Abs() > maxShift) {
		return nil, fmt.Errorf("%w: a shift by %v, the limit is %v", ErrInvalid, by, maxShift)
	}
	now, ahead := s.opts.Clock.Shift(by)
	return &nodev1.AdjustClockResponse{Now: timestamppb.New(now), Shift: durationpb.New(ahead)}, nil
}
