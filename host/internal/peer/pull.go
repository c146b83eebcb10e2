package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"google.golang.org/grpc"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// PullStream is the asking side of a pull. Recv is for one goroutine, Credit for any.
type PullStream struct {
	link   *Link
	stream grpc.BidiStreamingClient[peerv1.PullRequest, peerv1.PullResponse]
	cancel context.CancelFunc
	asked  map[id.Scope]bool
	// accepted is nil until the first message; used by Recv alone.
	accepted map[id.Scope]bool
	// holding are the scopes of which an inventory may come, with forgotten a bare one of the others; inventories are where those stand
	// that have begun; told is set by the first commits or progress. Used by Recv alone.
	holding     map[id.Scope]bool
	forgotten   bool
	inventories map[id.Scope]string
	told        bool

	// send serializes sending.
	send sync.Mutex
	// mu guards room.
	mu sync.Mutex
	// room is how many more bytes of commits the responder may send.
	room int64
	// window is the largest value of room.
	window int64
}

// Pull asks for what open says. The stream ends with ctx, with Close or with the link.
func (l *Link) Pull(ctx context.Context, open delta.Open) (*PullStream, error) {
	request := encodeOpen(open)
	if _, err := decodeOpen(request); err != nil {
		return nil, fmt.Errorf("pull: cannot ask for %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	stream, err := l.client.Pull(ctx, grpc.MaxCallRecvMsgSize(maxMessage))
	if err == nil {
		err = stream.Send(&peerv1.PullRequest{Open: request})
	}
	if err != nil && !errors.Is(err, io.EOF) { // at io.EOF the stream has ended already, and Recv tells why
		cancel()
		return nil, l.failed(err)
	}
	p := &PullStream{
		link:   l,
		stream: stream,
		cancel: cancel,
		asked:  make(map[id.Scope]bool, len(open.Known)),

		holding:     make(map[id.Scope]bool, len(open.Holding)),
		forgotten:   open.Forgotten,
		inventories: map[id.Scope]string{},
		room:        int64(open.Window),
		window:      int64(open.Window),
	}
	for _, k := range open.Known {
		p.asked[k.Scope] = true
	}
	for _, s := range open.Holding {
		p.holding[s] = true
	}
	return p, nil
}

// Close ends the stream. It may be called more than once, and at any time.
func (p *PullStream) Close() { p.cancel() }

// Recv returns the next message, checked: the first is Accepted with scopes that were asked for, the others Commits
// within the window, Progress of accepted scopes, or what is left. io.EOF when the peer has nothing more to say.
func (p *PullStream) Recv() (delta.Message, error) {
	m, err := p.stream.Recv()
	if errors.Is(err, io.EOF) && p.accepted != nil {
		return delta.Message{}, io.EOF
	}
	if errors.Is(err, io.EOF) {
		return delta.Message{}, p.link.failed(violation("nothing at all in answer to a pull"))
	}
	if err != nil {
		p.cancel()
		return delta.Message{}, p.link.failed(err)
	}
	out, err := p.decode(m)
	if err != nil {
		p.cancel()
		return delta.Message{}, p.link.failed(violation("%w", err))
	}
	return out, nil
}

func (p *PullStream) decode(m *peerv1.PullResponse) (delta.Message, error) {
	if p.accepted == nil {
		return p.decodeAccepted(m.GetAccepted())
	}
	if m.GetInventory() == nil {
		p.told = true
	}
	switch body := m.GetMessage().(type) {
	case *peerv1.PullResponse_Inventory:
		v, err := decodeInventory(body.Inventory)
		if err == nil {
			err = p.takesInventory(v)
		}
		return delta.Message{Inventory: v}, err
	case *peerv1.PullResponse_Commits:
		commits := body.Commits.GetCommits()
		size, err := checkCommits(commits)
		if err != nil {
			return delta.Message{}, err
		}
		if !p.take(int64(size)) {
			return delta.Message{}, fmt.Errorf("%d bytes of commits beyond the window of %d", size, p.window)
		}
		return delta.Message{Commits: commits}, nil
	case *peerv1.PullResponse_Progress:
		progress, err := decodeVectors(body.Progress.GetVectors())
		if err != nil {
			return delta.Message{}, err
		}
		for _, v := range progress {
			if !p.accepted[v.Scope] {
				return delta.Message{}, fmt.Errorf("progress of the scope %s, which it has not accepted", v.Scope)
			}
		}
		return delta.Message{Progress: progress, Left: boundedLeft(body.Progress.GetLeft())}, nil
	case *peerv1.PullResponse_Accepted:
		return delta.Message{}, errors.New("accepted twice in one pull")
	}
	return delta.Message{}, errors.New("an empty or unknown message in a pull")
}

func (p *PullStream) decodeAccepted(m *peerv1.PullAccepted) (delta.Message, error) {
	if m == nil {
		return delta.Message{}, errors.New("something else than accepted as the first message of a pull")
	}
	scopes, err := decodeScopes(m.GetScopes())
	if err != nil {
		return delta.Message{}, err
	}
	accepted := make(map[id.Scope]bool, len(scopes))
	for _, s := range scopes {
		if !p.asked[s] {
			return delta.Message{}, fmt.Errorf("the scope %s, which was not asked for", s)
		}
		accepted[s] = true
	}
	witnesses, err := decodeWitnesses(m.GetWitnesses())
	if err != nil {
		return delta.Message{}, err
	}
	var inside []id.Scope
	if len(m.GetInside()) > 0 {
		if inside, err = decodeScopes(m.GetInside()); err != nil {
			return delta.Message{}, err
		}
	}
	if len(inside) > maxInside {
		return delta.Message{}, fmt.Errorf("%d scopes within those accepted, the limit is %d", len(inside), maxInside)
	}
	for _, t := range inside {
		if !slices.ContainsFunc(scopes, func(s id.Scope) bool { return s.Covers(t) }) {
			return delta.Message{}, fmt.Errorf("the scope %s, which lies in none that it accepted", t)
		}
	}
	p.accepted = accepted
	return delta.Message{Accepted: scopes, Inside: inside, Witnesses: witnesses, Left: boundedLeft(m.GetLeft())}, nil
}

// boundedLeft takes what is only shown as it is, within bounds.
func boundedLeft(n uint64) uint64 { return min(n, delta.MostRecords) }

// take uses up room for a message. A message larger than the window may come when nothing else is under way.
func (p *PullStream) take(size int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if size > p.room && p.room != p.window {
		return false
	}
	p.room -= size
	return true
}

// Credit tells the responder that n bytes of commits have been applied, so that it may send as many more. It may block
// while the connection is slow. Credit for more than was received is an error of the caller.
func (p *PullStream) Credit(n uint64) error {
	if n == 0 {
		return nil
	}
	p.mu.Lock()
	under := uint64(p.window - p.room)
	if n <= under {
		p.room += int64(n)
	}
	p.mu.Unlock()
	if n > under {
		return fmt.Errorf("pull: credit for %d bytes, but only %d were received and not credited", n, under)
	}
	p.send.Lock()
	defer p.send.Unlock()
	err := p.stream.Send(&peerv1.PullRequest{Credit: n})
	if err != nil && !errors.Is(err, io.EOF) { // at io.EOF the stream has ended, and Recv tells why
		return p.link.failed(err)
	}
	return nil
}
