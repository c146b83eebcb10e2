package gate

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func endless(method string) bool { return method == "endless" }

func guardAll(string) bool { return true }

// fakeStream is a stream whose peer never sends; Recv waits for the context of the transport, as grpc's does.
type fakeStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s fakeStream) Context() context.Context { return s.ctx }

func (s fakeStream) RecvMsg(any) error {
	<-s.ctx.Done()
	return s.ctx.Err()
}

// serve runs a handler behind the interceptor and ends the transport's context after it, as grpc does.
func serve(g *Gate, method string, handler func(ctx context.Context, recv func() error) error) <-chan error {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		defer cancel()
		info := &grpc.StreamServerInfo{FullMethod: method}
		result <- g.Stream(guardAll)(nil, fakeStream{ctx: ctx}, info, func(_ any, s grpc.ServerStream) error {
			return handler(s.Context(), func() error { return s.RecvMsg(nil) })
		})
	}()
	return result
}

func TestStates(t *testing.T) {
	g := New(endless)
	enter := func() codes.Code {
		_, leave, err := g.Enter(t.Context(), "m")
		if err == nil {
			leave()
		}
		return status.Code(err)
	}
	if got := enter(); got != codes.FailedPrecondition {
		t.Errorf("before Open: %v, want FailedPrecondition", got)
	}
	g.Open()
	if got := enter(); got != codes.OK {
		t.Errorf("after Open: %v, want OK", got)
	}
	for range 2 {
		if err := g.Drain(t.Context(), time.Hour); err != nil {
			t.Errorf("drain with no calls: %v", err)
		}
		g.Open()
		if got := enter(); got != codes.Unavailable {
			t.Errorf("after Drain: %v, want Unavailable", got)
		}
	}
}

func TestUnguardedPass(t *testing.T) {
	g := New(endless)
	none := func(string) bool { return false }
	_, err := g.Unary(none)(t.Context(), nil, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { return nil, nil })
	if err != nil {
		t.Error(err)
	}
	err = g.Stream(none)(nil, fakeStream{}, &grpc.StreamServerInfo{}, func(any, grpc.ServerStream) error { return nil })
	if err != nil {
		t.Error(err)
	}
}

func TestDrainWaitsForWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(endless)
		g.Open()
		done := serve(g, "work", func(ctx context.Context, _ func() error) error {
			time.Sleep(3 * time.Second)
			return ctx.Err()
		})
		synctest.Wait()
		start := time.Now()
		if err := g.Drain(t.Context(), 5*time.Second); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("drain took %v, want the 3s of the call", took)
		}
		if err := <-done; err != nil {
			t.Errorf("the call ended with %v although it was within the grace", err)
		}
	})
}

func TestDrainEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(endless)
		g.Open()
		idle := serve(g, "put", func(ctx context.Context, recv func() error) error {
			Idle(ctx)
			return recv()
		})
		watch := serve(g, "endless", func(ctx context.Context, _ func() error) error {
			<-ctx.Done()
			return nil
		})
		synctest.Wait()
		start := time.Now()
		if err := g.Drain(t.Context(), time.Hour); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("drain took %v, want none", took)
		}
		for _, result := range []<-chan error{idle, watch} {
			if err := <-result; err != nil && status.Code(err) != codes.Unavailable {
				t.Errorf("call ended with %v, want Unavailable", err)
			}
		}
	})
}

func TestDrainCutsWorkAfterGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(endless)
		g.Open()
		result := serve(g, "work", func(ctx context.Context, _ func() error) error {
			<-ctx.Done()
			time.Sleep(time.Second) // tidies up
			return ctx.Err()
		})
		synctest.Wait()
		start := time.Now()
		if err := g.Drain(t.Context(), 5*time.Second); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("drain took %v, want 6s", took)
		}
		if got := status.Code(<-result); got != codes.Unavailable {
			t.Errorf("the call ended with %v, want Unavailable", got)
		}
	})
}

func TestDrainReportsWhatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(endless)
		g.Open()
		release := make(chan struct{})
		result := serve(g, "stuck", func(context.Context, func() error) error {
			<-release
			return nil
		})
		synctest.Wait()
		if err := g.Drain(t.Context(), time.Second); !errors.Is(err, ErrStuck) {
			t.Errorf("drain: %v, want ErrStuck", err)
		}
		close(release)
		<-result
		if err := g.Drain(t.Context(), time.Second); err != nil {
			t.Errorf("drain once more: %v", err)
		}
	})
}

func TestBusyAfterCut(t *testing.T) {
	g := New(endless)
	g.Open()
	ctx, leave, err := g.Enter(t.Context(), "put")
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	Idle(ctx)
	if err := Busy(ctx); err != nil {
		t.Errorf("busy without a drain: %v", err)
	}
	Idle(ctx)
	drainCtx, cancel := context.WithCancel(t.Context())
	cancel()
	go func() { _ = g.Drain(drainCtx, 0) }()
	<-ctx.Done()
	if status.Code(Busy(ctx)) != codes.Unavailable {
		t.Errorf("busy after a drain has ended the call: %v, want Unavailable", Busy(ctx))
	}
}
