package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

type pullServer = grpc.BidiStreamingServer[peerv1.PullRequest, peerv1.PullResponse]

func (v *service) Pull(stream pullServer) error {
	s := v.sessions
	_, caller, err := s.callerOf(stream.Context())
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetCredit() != 0 || first.GetElsewhere() != nil {
		return invalid(errors.New("credit, or what comes from elsewhere, in the first message of a pull"))
	}
	open, err := decodeOpen(first.GetOpen())
	if err != nil {
		return invalid(err)
	}
	if d := open.Self.Device; d != (id.Device{}) && d != caller.Device {
		return invalid(fmt.Errorf("a pull for device %s by device %s", open.Self.Device, caller.Device))
	}
	if s.opts.Puller == nil {
		return v.UnimplementedPeerServiceServer.Pull(stream)
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	out := &pullSender{ctx: ctx, stream: stream, window: int(open.Window), credited: make(chan struct{}, 1), said: make(chan delta.Elsewhere, 1)}
	// Ends with the stream, which gRPC ends when this handler returns; nobody could wait for it before.
	go out.listen(newHoldBackCodec(open), cancel)
	err = s.opts.Puller.ServePull(ctx, caller, open, out)
	if fault := context.Cause(ctx); err != nil && fault != nil && stream.Context().Err() == nil {
		err = fault
	}
	return s.toStatus(err)
}

// pullSender sends the answer to a pull within the window of the initiator.
type pullSender struct {
	ctx    context.Context
	stream pullServer
	window int
	// accepted is used by Send alone.
	accepted bool
	// credited has a token when inflight has become less.
	credited chan struct{}
	// said has what the initiator has said of elsewhere and nobody has taken out; only listen puts in.
	said chan delta.Elsewhere

	// mu guards inflight.
	mu sync.Mutex
	// inflight is how many bytes of commits were sent and not credited.
	inflight int
}

// listen reads credit until the stream ends. A fault of the initiator, or its having nothing more to say while it
// should listen to us for as long as we speak, is told to cancel.
func (p *pullSender) listen(codec *holdBackCodec, cancel context.CancelCauseFunc) {
	for {
		m, err := p.stream.Recv()
		if err != nil {
			cancel(context.Canceled)
			return
		}
		if m.GetOpen() != nil {
			cancel(invalid(errors.New("a second open in one pull")))
			return
		}
		if err := p.credit(m.GetCredit()); err != nil {
			cancel(invalid(err))
			return
		}
		if m.GetElsewhere() == nil {
			continue
		}
		e, err := codec.decode(m.GetElsewhere())
		if err != nil {
			cancel(invalid(err))
			return
		}
		p.hear(e, codec)
	}
}

func (p *pullSender) credit(n uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > uint64(p.inflight) {
		return fmt.Errorf("credit for %d bytes with %d under way", n, p.inflight)
	}
	p.inflight -= int(n)
	select {
	case p.credited <- struct{}{}:
	default:
	}
	return nil
}

// Send implements ServerStream.
func (p *pullSender) Send(m delta.Message) error {
	switch {
	case p.accepted == (m.Accepted != nil):
		return errors.New("pull: Accepted must be sent first, and once")
	case m.Accepted != nil:
		p.accepted = true
		body := &peerv1.PullAccepted{Witnesses: encodeWitnesses(m.Witnesses), Left: m.Left}
		for _, s := range m.Accepted {
			body.Scopes = append(body.Scopes, encodeScope(s))
		}
		for _, s := range m.Inside[:min(len(m.Inside), maxInside)] {
			body.Inside = append(body.Inside, encodeScope(s))
		}
		return p.stream.Send(&peerv1.PullResponse{Message: &peerv1.PullResponse_Accepted{Accepted: body}})
	case m.Inventory != nil:
		body, err := encodeInventory(m.Inventory)
		if err != nil {
			return err
		}
		return p.stream.Send(&peerv1.PullResponse{Message: &peerv1.PullResponse_Inventory{Inventory: body}})
	case m.SaysLeft():
		body := &peerv1.PullProgress{Vectors: encodeVectors(m.Progress), Left: m.Left}
		return p.stream.Send(&peerv1.PullResponse{Message: &peerv1.PullResponse_Progress{Progress: body}})
	}
	return p.sendCommits(m.Commits)
}

// sendCommits sends commits in messages of at most maxCommitsBytes, or of a single commit.
func (p *pullSender) sendCommits(commits [][]byte) error {
	for len(commits) > 0 {
		n, size := 1, len(commits[0])
		for n < len(commits) && size+len(commits[n]) <= maxCommitsBytes {
			size += len(commits[n])
			n++
		}
		if _, err := checkCommits(commits[:n]); err != nil {
			return fmt.Errorf("pull: cannot send %w", err)
		}
		if err := p.reserve(size); err != nil {
			return err
		}
		body := &peerv1.Commits{Commits: commits[:n]}
		if err := p.stream.Send(&peerv1.PullResponse{Message: &peerv1.PullResponse_Commits{Commits: body}}); err != nil {
			return err
		}
		commits = commits[n:]
	}
	return nil
}

// Underway implements ServerStream.
func (p *pullSender) Underway() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inflight
}

// reserve waits until there is room for size bytes, or nothing at all under way.
func (p *pullSender) reserve(size int) error {
	for {
		p.mu.Lock()
		fits := p.inflight == 0 || p.inflight+size <= p.window
		if fits {
			p.inflight += size
		}
		p.mu.Unlock()
		if fits {
			return nil
		}
		select {
		case <-p.credited:
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	}
}
