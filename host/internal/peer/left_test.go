package peer

import (
	"context"
	"math"
	"runtime"
	"testing"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// What a peer says is left is taken with Accepted, with progress and alone, and never as more than can be shown.
func TestLeftIsBounded(t *testing.T) {
	f := newFamily(t)
	a, b := f.member(t, "a"), f.member(t, "b")
	first := accepted(scope)
	first.GetAccepted().Left = math.MaxUint64
	alone := func(n uint64) *peerv1.PullResponse {
		return &peerv1.PullResponse{Message: &peerv1.PullResponse_Progress{Progress: &peerv1.PullProgress{Left: n}}}
	}
	address := (&liar{pull: []*peerv1.PullResponse{first, alone(math.MaxUint64), alone(7), commits([]byte{1}), progress(scope)}}).serve(t, b)
	n := start(t, Options{Identity: a})
	stream, err := mustConnect(t, n, address).Pull(t.Context(), open(n))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for i, want := range []uint64{delta.MostRecords, delta.MostRecords, 7, 0, 0} {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.Left != want {
			t.Errorf("message %d leaves %d, want %d", i, m.Left, want)
		}
		if i == 2 && len(m.Progress) > 0 {
			t.Errorf("what is left was taken for progress: %v", m.Progress)
		}
	}
}

// What is left arrives as it was said, and what was sent is under way until it is confirmed.
func TestLeftArrives(t *testing.T) {
	f := newFamily(t)
	const size = 10
	underway, confirmed := make(chan int), make(chan struct{})
	a := start(t, Options{Identity: f.member(t, "a"), Puller: pullFunc(func(ctx context.Context, _ Caller, _ delta.Open, stream ServerStream) error {
		for _, m := range []delta.Message{
			{Accepted: []id.Scope{scope}, Left: 3}, {Left: 2}, {Commits: [][]byte{make([]byte, size)}}, {Progress: []delta.ScopeVector{{Scope: scope}}},
		} {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		underway <- stream.Underway()
		<-confirmed
		for stream.Underway() > 0 && ctx.Err() == nil {
			runtime.Gosched()
		}
		underway <- stream.Underway()
		<-ctx.Done()
		return ctx.Err()
	})})
	b := start(t, Options{Identity: f.member(t, "b")})
	stream, err := mustConnect(t, b, a.address).Pull(t.Context(), open(b))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if got := <-underway; got != size {
		t.Errorf("%d bytes are under way, want %d", got, size)
	}
	for i, want := range []uint64{3, 2, 0, 0} {
		if m, err := stream.Recv(); err != nil || m.Left != want {
			t.Errorf("message %d leaves %d, %v; want %d", i, m.Left, err, want)
		}
	}
	if err := stream.Credit(size); err != nil {
		t.Fatal(err)
	}
	close(confirmed)
	if got := <-underway; got != 0 {
		t.Errorf("%d bytes are under way after credit", got)
	}
}
