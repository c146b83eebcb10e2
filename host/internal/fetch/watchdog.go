package fetch

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errStalled is the cause of a request's end when nothing came for too long.
var errStalled = errors.New("peer sent nothing for too long")

// watch returns a context that ends when a request brings nothing for too long.
func (f *Fetcher) watch(ctx context.Context) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watchdog{
		patience: f.opts.Stall,
		timer:    time.AfterFunc(f.opts.Stall, func() { cancel(errStalled) }),
		cancel:   cancel,
	}
}

type watchdog struct {
	patience time.Duration
	timer    *time.Timer
	cancel   context.CancelCauseFunc
}

func (w *watchdog) pause()  { w.timer.Stop() }
func (w *watchdog) resume() { w.timer.Reset(w.patience) }

// end releases the context. It comes after the last resume.
func (w *watchdog) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// causeOf adds why the context ended, if it has.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
