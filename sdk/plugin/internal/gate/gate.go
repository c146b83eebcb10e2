// Package gate decides which calls reach the author's code of a plugin.
//
// It refuses calls before the plugin is configured and once draining has begun, knows every call in flight, and ends them
// for a drain: what waits for work at once, what is at work when the grace is over. It knows nothing of protocols.
//
// Read [Gate] first, then [Gate.Drain].
package gate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// cutWait is how long calls may take to notice that their context has ended before a drain gives up on them.
const cutWait = 2 * time.Second

var (
	errNotConfigured = status.Error(codes.FailedPrecondition, "the plugin is not configured yet")
	errDraining      = status.Error(codes.Unavailable, "the plugin is draining")
)

// ErrStuck is returned by Drain when calls have not ended although their contexts had.
var ErrStuck = errors.New("calls have not ended")

// Gate is safe for concurrent use. The zero value is not; use New.
type Gate struct {
	endless func(method string) bool

	mu sync.Mutex // guards the fields below and those of every call
	// open is set by Open, draining by Drain; neither is ever taken back.
	open     bool
	draining bool
	calls    map[*call]struct{}
	// empty is closed when the last call leaves during a drain, nil when no drain waits.
	empty chan struct{}
}

// call is one call in flight. Its fields are guarded by Gate.mu, but for cut, which is closed under it.
type call struct {
	gate   *Gate
	cancel context.CancelFunc
	// idle is set while the call waits for the peer to give it work.
	idle    bool
	endless bool
	// cut is closed when the call has to end.
	cut   chan struct{}
	isCut bool
}

type callKey struct{}

// New makes a closed gate. Calls of methods for which endless answers true end as soon as a drain begins.
func New(endless func(method string) bool) *Gate {
	return &Gate{endless: endless, calls: map[*call]struct{}{}}
}

// Open lets calls pass from now on.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = true
}

// Check reports why calls are refused at the moment; nil when they are not.
func (g *Gate) Check() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refusal()
}

func (g *Gate) refusal() error {
	switch {
	case g.draining:
		return errDraining
	case !g.open:
		return errNotConfigured
	default:
		return nil
	}
}

// Enter counts a call in. The returned function counts it out and has to be called once, after the last use of ctx.
func (g *Gate) Enter(ctx context.Context, method string) (context.Context, func(), error) {
	ctx, c, err := g.enter(ctx, method)
	if err != nil {
		return nil, nil, err
	}
	return ctx, func() { g.leave(c) }, nil
}

func (g *Gate) enter(ctx context.Context, method string) (context.Context, *call, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.refusal(); err != nil {
		return nil, nil, err
	}
	c := &call{gate: g, endless: g.endless(method), cut: make(chan struct{})}
	ctx, c.cancel = context.WithCancel(context.WithValue(ctx, callKey{}, c))
	g.calls[c] = struct{}{}
	return ctx, c, nil
}

func (g *Gate) leave(c *call) {
	c.cancel()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.calls, c)
	if len(g.calls) == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// end tells the call to stop. The caller holds g.mu.
func (c *call) end() {
	if c.isCut {
		return
	}
	c.isCut = true
	c.cancel()
	close(c.cut)
}

// Idle tells the gate that the call of ctx holds no work and waits for its peer, so that a drain may end it.
func Idle(ctx context.Context) {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return
	}
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.idle = true
	if c.gate.draining {
		c.end()
	}
}

// Busy takes Idle back: the call has been given work. It fails when a drain has ended the call meanwhile.
func Busy(ctx context.Context) error {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return nil
	}
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.idle = false
	if c.isCut {
		return errDraining
	}
	return nil
}

// Drain refuses new calls, waits up to grace for those at work, then ends their contexts and waits a little more. It
// returns nil when no call is left. Calling it again waits again.
func (g *Gate) Drain(ctx context.Context, grace time.Duration) error {
	g.mu.Lock()
	g.draining = true
	for c := range g.calls {
		if c.endless || c.idle {
			c.end()
		}
	}
	g.mu.Unlock()

	if g.wait(ctx, grace) {
		return nil
	}
	g.mu.Lock()
	for c := range g.calls {
		c.end()
	}
	g.mu.Unlock()
	if g.wait(context.WithoutCancel(ctx), cutWait) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Errorf("%w: %d after a grace of %v", ErrStuck, len(g.calls), grace)
}

// wait reports whether no call was left before the time was over.
func (g *Gate) wait(ctx context.Context, limit time.Duration) bool {
	g.mu.Lock()
	if len(g.calls) == 0 {
		g.mu.Unlock()
		return true
	}
	if g.empty == nil {
		g.empty = make(chan struct{})
	}
	empty := g.empty
	g.mu.Unlock()

	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-empty:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// Unary is the interceptor for unary calls of methods that guarded picks.
func (g *Gate) Unary(guarded func(method string) bool) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if !guarded(info.FullMethod) {
			return handler(ctx, req)
		}
		ctx, leave, err := g.Enter(ctx, info.FullMethod)
		if err != nil {
			return nil, err
		}
		defer leave()
		return handler(ctx, req)
	}
}

// Stream is the interceptor for streams of methods that guarded picks. The handler runs in a goroutine of its own, so
// that the stream can be ended while the handler waits in Recv; the call stays counted until the handler returns.
func (g *Gate) Stream(guarded func(method string) bool) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if !guarded(info.FullMethod) {
			return handler(srv, stream)
		}
		ctx, c, err := g.enter(stream.Context(), info.FullMethod)
		if err != nil {
			return err
		}
		result := make(chan error, 1)
		go func() {
			defer g.leave(c)
			result <- handler(srv, gated{ServerStream: stream, ctx: ctx})
		}()
		select {
		case err := <-result:
			return err
		case <-c.cut:
			return errDraining
		}
	}
}

// gated is a stream whose context ends when the gate ends the call.
type gated struct {
	grpc.ServerStream
	ctx context.Context
}

func (s gated) Context() context.Context { return s.ctx }
