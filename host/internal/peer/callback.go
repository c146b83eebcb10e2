package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// Each side makes its requests on links of its own. A peer that cannot dial us, because we listen nowhere, or behind a router
// that lets nobody in, would never ask for what is written here. So whoever has a link to a peer, and sees none come from
// it, makes a second connection on which that peer makes the requests: a callback.

// FeatureCallback in Hello says that this daemon takes callbacks.
const FeatureCallback = "callback"

const (
	// callbackAfter is how long a peer has to dial us by itself, if we accept connections at all.
	callbackAfter = 2 * time.Second
	// maxCallbacks bounds the callbacks that wait to be greeted. Those beyond it are closed, and made again later.
	maxCallbacks = 16
)

// offers is a listener that accepts connections which were made by this side.
type offers struct {
	conns  chan *channel
	closed chan struct{}
	once   sync.Once
}

func newOffers() *offers { return &offers{conns: make(chan *channel), closed: make(chan struct{})} }

// Callbacks returns the listener of connections that this daemon makes to peers for their requests. The server made with
// ServerOptions has to serve it beside those for connections that peers make.
func (s *Sessions) Callbacks() net.Listener { return s.offered }

func (o *offers) Accept() (net.Conn, error) {
	select {
	case ch := <-o.conns:
		return ch, nil
	case <-o.closed:
		return nil, net.ErrClosed
	}
}

func (o *offers) Close() error {
	o.once.Do(func() { close(o.closed) })
	return nil
}

func (o *offers) Addr() net.Addr { return offersAddr{} }

type offersAddr struct{}

func (offersAddr) Network() string { return "callback" }
func (offersAddr) String() string  { return "callback" }

// hand gives a connection to the server.
func (o *offers) hand(ctx context.Context, ch *channel) error {
	select {
	case o.conns <- ch:
		return nil
	case <-o.closed:
		return net.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// offerCallbacks keeps a callback open to the peer of a link for as long as that is up and no connection comes from the peer.
func (s *Sessions) offerCallbacks(link *Link) {
	if !link.Has(FeatureCallback) || link.peer.Callback {
		return
	}
	patience, pause := callbackAfter, minDelay
	if len(s.addresses()) == 0 {
		patience = 0
	}
	for s.callerLacks(link, patience) {
		began := s.opts.Now()
		err := s.callback(link)
		if link.ctx.Err() != nil {
			return
		}
		if s.opts.Now().Sub(began) >= steady {
			pause = minDelay
		}
		s.log.Debug("callback ended", "name", link.peer.Name, "reason", err)
		wait(link.ctx, pause)
		pause = min(2*pause, maxDelay)
	}
}

// callerLacks waits until for so long no connection has come from the peer; false when the link is down.
func (s *Sessions) callerLacks(link *Link, patience time.Duration) bool {
	for link.ctx.Err() == nil {
		var calls bool
		var changed <-chan struct{}
		s.update(func(time.Time) {
			changed = s.changed
			c := s.roster.run(link.peer.Principal, link.peer.Instance)
			calls = c == nil || c.incoming > 0
		})
		var due <-chan time.Time
		if !calls {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-link.ctx.Done():
		case <-changed:
			if !calls { // it may be the peer that has come
				continue
			}
		case <-due:
			return true
		}
	}
	return false
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// callback makes one connection for requests of the peer, and returns when it has ended.
func (s *Sessions) callback(link *Link) error {
	ctx, cancel := context.WithTimeout(link.ctx, attemptTimeout)
	defer cancel()
	ch, err := s.connect(ctx, link.peer.Address, s.opts.Identity.CallbackCredentials(nil))
	if err != nil {
		return err
	}
	if p := ch.proof.Principal(); p != link.peer.Principal {
		ch.Close()
		return fmt.Errorf("%w: at %s is %s now", ErrUnreachable, link.peer.Address, p)
	}
	done := make(chan struct{})
	offer := &channel{Conn: &closing{Conn: ch.Conn, done: done}, counted: ch.counted, proof: ch.proof, address: ch.address}
	if err := s.offered.hand(link.ctx, offer); err != nil {
		ch.Close()
		return err
	}
	select {
	case <-done:
		return errors.New("the connection closed")
	case <-link.ctx.Done():
		offer.Close()
		return context.Cause(link.ctx)
	}
}

// closing tells when a connection is closed.
type closing struct {
	net.Conn
	once sync.Once
	done chan struct{}
}

func (c *closing) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.done) })
	return err
}

// takeCallback hands a connection that a peer has made for our requests to Run. The error is for gRPC, which is to leave the
// connection alone.
func (s *Sessions) takeCallback(ch *channel) error {
	if err := s.admit(ch.proof.Principal()); err != nil {
		ch.Close()
		return credentials.ErrConnDispatched
	}
	select {
	case s.callbacks <- ch:
	default:
		s.discharge(ch.proof.Principal())
		ch.Close()
	}
	return credentials.ErrConnDispatched
}

// pursueCallback greets the peer that made the connection and, when a link comes of it, stays with the link to its end.
func (s *Sessions) pursueCallback(ctx context.Context, ch *channel) {
	defer s.discharge(ch.proof.Principal())
	link := s.newLink(ctx, ch)
	m, err := s.greet(link, ch)
	if err != nil {
		link.close(err)
		s.log.Debug("no link on the connection of a peer", "address", ch.address, "reason", err)
		return
	}
	key, kept := 0, false
	s.notify(func(now time.Time) {
		if key, kept = s.roster.called(now, m); kept {
			s.links[key] = link
		}
	})
	if !kept {
		link.close(errors.New("there is a link to this peer already"))
		return
	}
	s.attend(link, key)
}
