package host

import (
	"context"
	"time"
)

// sweepAgain is how long the daemon waits before it goes on to sweep after the store has refused.
const sweepAgain = time.Minute

// sweep gives back what destroyed collections and databases took, until ctx ends. What fails is tried again: the daemon
// works without it.
func (h *Host) sweep(ctx context.Context) error {
	for {
		err := h.rows.Sweep(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		h.log.Warn("cannot sweep what was destroyed; trying again", "error", err)
		t := time.NewTimer(sweepAgain)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}
