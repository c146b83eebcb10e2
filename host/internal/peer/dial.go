package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/identity"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

const (
	// stagger is the head start of an address before the next one is tried beside it.
	stagger        = 250 * time.Millisecond
	attemptTimeout = 10 * time.Second
	helloTimeout   = 10 * time.Second

	// A peer that is silent for as long as both together is taken for dead.
	pingAfter   = 10 * time.Second
	pingTimeout = 10 * time.Second
	// serverPingAfter is later than pingAfter, so that who was dialled pings only who has stopped to.
	serverPingAfter = 15 * time.Second
)

// channel is a connection whose other end has proven who it is, and has accepted us.
type channel struct {
	net.Conn
	counted *countedConn
	proof   *identity.AuthInfo
	address string
}

// dial connects to whoever answers first at the addresses of the order, and exchanges Hello. strays are the addresses at
// which somebody else answered than the order expects.
func (s *Sessions) dial(ctx context.Context, o order) (link *Link, m met, strays map[string]id.Principal, err error) {
	ch, strays, err := s.race(ctx, o)
	if err != nil {
		return nil, m, strays, err
	}
	link = s.newLink(ctx, ch)
	m, err = s.greet(link, ch)
	if err != nil {
		link.close(err)
		return nil, m, strays, err
	}
	return link, m, strays, nil
}

// race tries the addresses one after the other, each with a head start, until one succeeds.
func (s *Sessions) race(ctx context.Context, o order) (*channel, map[string]id.Principal, error) {
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		ch  *channel
		err error
	}
	results := make(chan result, len(o.addresses))
	var attempts sync.WaitGroup
	defer func() { // losers are told to stop, awaited, and closed if they made it all the same
		cancel()
		attempts.Wait()
		close(results)
		for r := range results {
			if r.ch != nil {
				r.ch.Close()
			}
		}
	}()

	strays := map[string]id.Principal{}
	var failures []error
	started := 0
	for len(failures) < len(o.addresses) {
		var head <-chan time.Time
		if started < len(o.addresses) {
			address := o.addresses[started]
			started++
			attempts.Go(func() {
				ch, err := s.attempt(ctx, address)
				results <- result{ch, err}
			})
			head = time.After(stagger)
		}
		for waiting := true; waiting; {
			select {
			case <-head:
				waiting = false
			case r := <-results:
				if r.err == nil && o.principal != "" && r.ch.proof.Principal() != o.principal {
					strays[r.ch.address] = r.ch.proof.Principal()
					r.err = fmt.Errorf("%w: at %s is %s, not %s", ErrUnreachable, r.ch.address, r.ch.proof.Principal(), o.principal)
					r.ch.Close()
				}
				if r.err == nil {
					return r.ch, strays, nil
				}
				failures = append(failures, r.err)
				waiting = false
			}
		}
	}
	return nil, strays, telling(failures)
}

// telling returns the failure that says most: one that needs somebody to act before one that may pass.
func telling(failures []error) error {
	for _, err := range failures {
		if errors.Is(err, ErrRefused) {
			return err
		}
	}
	if len(failures) == 1 {
		return failures[0]
	}
	return fmt.Errorf("%w (and %d more of its addresses fail too)", failures[0], len(failures)-1)
}

// attempt connects to one address.
func (s *Sessions) attempt(ctx context.Context, address string) (*channel, error) {
	return s.connect(ctx, address, s.opts.Identity.ClientCredentials(nil))
}

func (s *Sessions) connect(ctx context.Context, address string, creds credentials.TransportCredentials) (*channel, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	raw, err := s.opts.Dial(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	counted := &countedConn{Conn: raw, now: s.opts.Now}
	conn, info, err := creds.ClientHandshake(ctx, address, counted)
	if err != nil {
		counted.Close()
		if errors.Is(err, ErrRefused) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return &channel{Conn: conn, counted: counted, proof: info.(*identity.AuthInfo), address: address}, nil
}

// newLink puts a gRPC client on the channel; it never dials by itself. The link ends with ctx.
func (s *Sessions) newLink(ctx context.Context, ch *channel) *Link {
	ctx, cancel := context.WithCancelCause(ctx)
	link := &Link{ctx: ctx, cancel: cancel}
	ch.counted.credit(s.traffic.get(ch.proof.Principal()), func() {
		cancel(fmt.Errorf("%w: the connection to %s closed", ErrUnreachable, ch.address))
	})
	once := make(chan net.Conn, 1)
	once <- ch
	conn, err := grpc.NewClient("passthrough:///peer", append(s.opts.Calls[:len(s.opts.Calls):len(s.opts.Calls)],
		grpc.WithTransportCredentials(established{ch.proof}),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case c := <-once:
				return c, nil
			default:
				return nil, errors.New("the link is down")
			}
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout, PermitWithoutStream: true}),
		grpc.WithIdleTimeout(0),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxSpec+2<<20)),
	)...)
	if err != nil { // only the options above can be at fault
		panic("peer: client options: " + err.Error())
	}
	link.conn, link.channel, link.client = conn, ch, peerv1.NewPeerServiceClient(conn)
	link.members = peerv1.NewMembershipServiceClient(conn)
	link.compare = peerv1.NewComparisonServiceClient(conn)
	link.refusals = peerv1.NewRefusalServiceClient(conn)
	return link
}

// close ends the link; the first reason given is the one that counts.
func (l *Link) close(reason error) {
	l.cancel(reason)
	l.conn.Close()
	l.channel.Close()
}

// greet exchanges Hello and fills in who the peer is.
func (s *Sessions) greet(link *Link, ch *channel) (met, error) {
	ctx, cancel := context.WithTimeout(link.ctx, helloTimeout)
	defer cancel()
	resp, err := link.client.Hello(ctx, &peerv1.HelloRequest{
		Name:      s.opts.Name,
		Device:    s.opts.Device[:],
		Software:  s.opts.Software,
		Features:  s.opts.Features,
		Addresses: s.addresses(),
		Instance:  s.opts.Instance[:],
	})
	if err != nil {
		err = classify(err)
		if errors.Is(err, ErrDenied) {
			return met{}, &told{"it refuses this device: " + Said(err), err}
		}
		return met{}, fmt.Errorf("%s does not say hello: %w", ch.address, err)
	}
	said, err := decodeHello(resp)
	if err != nil {
		return met{}, violation("%w", err)
	}
	principal := ch.proof.Principal()
	if s.isTwin(said, principal) {
		s.opts.OnTwin(said.instance, ch.address)
		return met{}, fmt.Errorf("%w: at %s", ErrTwin, ch.address)
	}
	if said.device == s.opts.Device {
		return met{}, errSelf
	}
	s.update(func(time.Time) { err = s.claims.claim(said.device, principal) })
	if err != nil {
		return met{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	link.peer = Peer{
		Name:      said.name,
		Principal: principal,
		Device:    said.device,
		Instance:  said.instance,
		Software:  said.software,
		Features:  said.features,
		Address:   ch.address,
		Callback:  ch.proof.Callback(),
	}
	return met{
		principal: principal,
		device:    said.device,
		instance:  said.instance,
		name:      said.name,
		address:   ch.address,
		addresses: seenFrom(ch.RemoteAddr(), said.addresses),
	}, nil
}

// isTwin reports whether somebody with the keys of this device is another run of a daemon than this one, at the same time.
func (s *Sessions) isTwin(said acquaintance, principal id.Principal) bool {
	return said.device == s.opts.Device && principal == s.opts.Identity.Principal() &&
		said.instance != s.opts.Instance && said.instance != (Instance{})
}

// addresses returns the addresses of this daemon in the number that a Hello can carry.
func (s *Sessions) addresses() []string {
	var valid []string
	for _, a := range s.opts.Addresses() {
		if checkAddress(a) == nil && len(valid) < maxAddresses {
			valid = append(valid, a)
		}
	}
	return valid
}

// seenFrom completes the addresses that a peer told of, with the host that it was seen at where it left the host open.
// Its loopback is of use to us only if it is on this machine.
func seenFrom(remote net.Addr, addresses []string) []string {
	seen, _, err := net.SplitHostPort(remote.String())
	if err != nil {
		seen = ""
	}
	var out []string
	for _, a := range addresses {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			continue
		}
		ip := net.ParseIP(host)
		switch {
		case host == "" || ip.IsUnspecified():
			host = seen
		case ip.IsLoopback() && !net.ParseIP(seen).IsLoopback():
			continue
		}
		if host != "" {
			out = append(out, net.JoinHostPort(host, port))
		}
	}
	return out
}

// established are the credentials of a channel whose handshake is done.
type established struct{ proof *identity.AuthInfo }

func (e established) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return conn, e.proof, nil
}

func (e established) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("peer: an established channel has no server side")
}

func (e established) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (e established) Clone() credentials.TransportCredentials { return e }

func (e established) OverrideServerName(string) error { return nil }
