package host

import (
	"context"
	"time"
)

// markEvery is how often the store is marked while it is written to: what a damaged end of its log can take with it unnoticed is
// what was written in that time before a crash.
const markEvery = time.Second

// markProgress marks the store until ctx ends.
func (h *Host) markProgress(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.kv.Wrote():
			h.markAgain()
		}
		select {
		case <-ctx.Done():
			return nil // closing marks, too
		case <-time.After(markEvery):
		}
		if err := h.kv.Mark(); err != nil {
			h.log.Debug("mark the store", "error", err)
		}
	}
}
