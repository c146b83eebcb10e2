package plug

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	sdk "github.com/syncbase/syncbase/sdk/plugin"
)

const (
	// readyLimit bounds how long a call without a nearer deadline waits for a process.
	readyLimit = 30 * time.Second
	// progressLimit bounds how long a stream may stand still.
	progressLimit = 30 * time.Second
	// deathNotice is how long after a broken call the end of the process is awaited, to tell a dead plugin from one that
	// answers UNAVAILABLE.
	deathNotice = 200 * time.Millisecond
	// brokenNotice is how long it is awaited when the connection is gone, too.
	brokenNotice = 10 * time.Second
	// maxFrame is the largest payload of a frame in both directions.
	maxFrame = sdk.DefaultFrameBytes
)

// live is a process that calls can be sent to.
type live struct {
	conn *grpc.ClientConn
	gone <-chan struct{} // closed when the process has ended
	desc description
	// retired is set before the process is asked to drain because another takes its place.
	retired atomic.Bool
}

func (l *live) dead() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

// handle is where callers find the present process of an instance.
type handle struct {
	mu      sync.Mutex // guards the fields below
	live    *live
	closed  bool
	changed chan struct{} // closed and replaced whenever the other fields change
	why     string        // why there is no process
}

func newHandle() *handle { return &handle{changed: make(chan struct{})} }

func (h *handle) update(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	close(h.changed)
	h.changed = make(chan struct{})
}

// publish makes l the process that calls go to; nil if there is none for the time being.
func (h *handle) publish(l *live) {
	h.update(func() {
		if old := h.live; old != nil && !old.dead() {
			old.retired.Store(true)
		}
		h.live = l
	})
}

// explain sets what callers are told when they have waited in vain.
func (h *handle) explain(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.why = why
}

// close fails all callers from now on.
func (h *handle) close() { h.update(func() { h.live, h.closed = nil, true }) }

// current returns the process without waiting; nil if there is none.
func (h *handle) current() *live {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live
}

// acquire waits for a process.
func (h *handle) acquire(ctx context.Context) (*live, error) {
	for {
		h.mu.Lock()
		l, closed, changed, why := h.live, h.closed, h.changed, h.why
		h.mu.Unlock()
		switch {
		case closed:
			return nil, fmt.Errorf("%w: the instance was stopped", ErrDown)
		case l != nil && !l.dead():
			return l, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, notReady(ctx, why)
		}
	}
}

func notReady(ctx context.Context, why string) error {
	if why == "" {
		why = "it has not started yet"
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return fmt.Errorf("%w: not ready in time: %s", ErrDown, firstLine(why))
}

// caller sends calls to one instance by its name.
type caller struct {
	host *Host
	kind Kind
	name string
}

// do runs fn against the instance's process, and once more if the process dies under it: fn must be safe to repeat. A
// process that is replaced in an orderly way does not count.
func (c caller) do(ctx context.Context, op string, fn func(ctx context.Context, l *live) error) error {
	return c.attempts(ctx, op, 2, fn)
}

// unary is do with a deadline for the whole call.
func (c caller) unary(ctx context.Context, op string, limit time.Duration, fn func(ctx context.Context, l *live) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.do(ctx, op, fn)
}

func (c caller) attempts(ctx context.Context, op string, attempts int, fn func(ctx context.Context, l *live) error) error {
	h, err := c.host.handle(c.name, c.kind)
	if err != nil {
		return c.wrap(op, err)
	}
	for attempt := 1; ; {
		l, err := acquireWithin(ctx, h)
		if err != nil {
			return c.wrap(op, err)
		}
		err = fn(ctx, l)
		var theirs visitError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &theirs):
			return theirs.error
		case ctx.Err() != nil || !transport(err) || !lost(ctx, h, l):
			return c.wrap(op, fromCall(ctx, err))
		case l.retired.Load():
		case attempt == attempts:
			return c.wrap(op, fmt.Errorf("%w: its process ended during the call", ErrDown))
		default:
			attempt++
		}
	}
}

func acquireWithin(ctx context.Context, h *handle) (*live, error) {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	return h.acquire(ctx)
}

// lost reports whether the process is gone or was replaced.
func lost(ctx context.Context, h *handle, l *live) bool {
	if h.current() != l {
		return true
	}
	if l.endsWithin(ctx, deathNotice) {
		return true
	}
	// A plugin that answers still has its connection. One that has lost it is ending, however slow the machine is about that.
	if l.conn.GetState() != connectivity.Ready && l.endsWithin(ctx, brokenNotice) {
		return true
	}
	return h.current() != l
}

// endsWithin waits for the end of the process, and reports whether it came.
func (l *live) endsWithin(ctx context.Context, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-l.gone:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

func (c caller) wrap(op string, err error) error {
	return fmt.Errorf("%s(%s): %s: %w", c.kind, c.name, op, err)
}

// visitError carries an error of the caller's own function through a call unchanged.
type visitError struct{ error }

// watch returns a context that ends with errStalled unless touch is called again and again.
func watch(ctx context.Context, limit time.Duration) (_ context.Context, touch, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(errStalled) })
	return ctx, func() { timer.Reset(limit) }, func() {
		timer.Stop()
		cancel(nil)
	}
}
