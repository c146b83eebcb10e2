package hosttest

import (
	"context"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/peer"
)

// Tap listens to, and changes, what hosts tell each other in pulls. It is called when one host begins to answer another, with
// what was asked, which it may change, and returns what is called with each message of the answer in its place: that is to
// send it on, or something else. Nil leaves the answer alone. Taps are called from the goroutines of the daemons.
type Tap func(from, to string, open *delta.Open) Answer

// Answer handles one message of the answer to a pull.
type Answer func(ctx context.Context, m delta.Message, send func(delta.Message) error) error

// tapped is what answers the pulls of a host's peers, with a tap before it.
type tapped struct {
	peer.Puller
	from string
	tap  Tap
}

func (h *Host) tapped(p peer.Puller) peer.Puller {
	return tapped{p, h.name, outdate(h.c.opts.Older, h.c.opts.Tap)}
}

func (t tapped) ServePull(ctx context.Context, caller peer.Caller, open delta.Open, stream peer.ServerStream) error {
	answer := t.tap(t.from, caller.Name, &open)
	if answer != nil {
		stream = answered{ctx, answer, stream}
	}
	return t.Puller.ServePull(ctx, caller, open, stream)
}

type answered struct {
	ctx    context.Context
	answer Answer
	peer.ServerStream
}

func (a answered) Send(m delta.Message) error { return a.answer(a.ctx, m, a.ServerStream.Send) }
