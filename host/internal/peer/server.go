package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/identity"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

const (
	// maxIncoming bounds the connections that one principal may have open to us.
	maxIncoming      = 32
	maxStreams       = 256
	handshakeTimeout = 10 * time.Second
	maxHeaders       = 16 << 10
)

// ServerOptions are the options that the gRPC server behind the TLS listener needs. They authenticate every caller.
func (s *Sessions) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(incomingCredentials{s.opts.Identity.ServerCredentials(s.logRefusal), s}),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: serverPingAfter, Timeout: pingAfter + pingTimeout - serverPingAfter}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingAfter / 2, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.WaitForHandlers(true),
	}
}

// Register makes the server, made with ServerOptions, answer peers.
func (s *Sessions) Register(server grpc.ServiceRegistrar) {
	peerv1.RegisterPeerServiceServer(server, &service{sessions: s})
	peerv1.RegisterMembershipServiceServer(server, &membership{sessions: s})
	peerv1.RegisterComparisonServiceServer(server, &comparison{sessions: s})
	peerv1.RegisterRefusalServiceServer(server, &refusals{sessions: s})
}

func (s *Sessions) logRefusal(r identity.Refusal) {
	host, _, _ := net.SplitHostPort(r.Address)
	if s.isNews(host + " " + r.Reason) {
		s.log.Warn(r.Error())
	}
}

// incoming is a connection that a peer, or a client with a certificate, has opened to us.
type incoming struct {
	*identity.AuthInfo
	address net.Addr

	// The mutex of Sessions guards the fields below.

	// greeted reports whether there was a valid Hello; device and name are from it.
	greeted  bool
	device   id.Device
	instance Instance
	name     string
	// closed keeps a Hello that is overtaken by the end of its connection from counting.
	closed bool
}

// incomingCredentials count and follow connections beside authenticating them.
type incomingCredentials struct {
	credentials.TransportCredentials
	sessions *Sessions
}

func (c incomingCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if ch, ok := raw.(*channel); ok { // we dialled it ourselves, to be called back
		return c.receive(ch, ch.proof, ch.counted)
	}
	counted := &countedConn{Conn: raw, now: c.sessions.opts.Now}
	conn, info, err := c.TransportCredentials.ServerHandshake(counted)
	if err != nil {
		return nil, nil, err
	}
	proven(raw)
	proof := info.(*identity.AuthInfo)
	if proof.Callback() {
		return nil, nil, c.sessions.takeCallback(&channel{Conn: conn, counted: counted, proof: proof, address: raw.RemoteAddr().String()})
	}
	return c.receive(conn, proof, counted)
}

// receive counts a connection of which it is known who is at the other end.
func (c incomingCredentials) receive(conn net.Conn, proof *identity.AuthInfo, counted *countedConn) (net.Conn, credentials.AuthInfo, error) {
	in := &incoming{AuthInfo: proof, address: conn.RemoteAddr()}
	if err := c.sessions.admit(in.Principal()); err != nil {
		conn.Close()
		return nil, nil, err
	}
	counted.credit(c.sessions.traffic.get(in.Principal()), func() { c.sessions.dismiss(in) })
	return conn, in, nil
}

func (c incomingCredentials) Clone() credentials.TransportCredentials {
	return incomingCredentials{c.TransportCredentials.Clone(), c.sessions}
}

func (s *Sessions) admit(p id.Principal) (err error) {
	s.update(func(time.Time) {
		if s.incoming[p] == maxIncoming {
			err = fmt.Errorf("peer: %s has %d connections open, which is the limit", p, maxIncoming)
			return
		}
		s.incoming[p]++
	})
	return err
}

// release takes back what admit counted. Called with mu held.
func (s *Sessions) release(p id.Principal) {
	if s.incoming[p]--; s.incoming[p] == 0 {
		delete(s.incoming, p)
	}
}

func (s *Sessions) discharge(p id.Principal) {
	s.update(func(time.Time) { s.release(p) })
}

func (s *Sessions) dismiss(in *incoming) {
	s.notify(func(now time.Time) {
		in.closed = true
		s.release(in.Principal())
		if in.greeted {
			s.roster.left(now, in.Principal(), in.instance)
		}
	})
}

// service answers peers.
type service struct {
	peerv1.UnimplementedPeerServiceServer
	sessions *Sessions
}

// callerOf returns the connection that a call came through, and who calls.
func (s *Sessions) callerOf(ctx context.Context) (*incoming, Caller, error) {
	p, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return nil, Caller{}, status.Error(codes.Unauthenticated, "the call has no connection")
	}
	in, ok := p.AuthInfo.(*incoming)
	if !ok {
		return nil, Caller{}, status.Error(codes.Unauthenticated, "peers are served over mutual TLS alone")
	}
	caller := Caller{Principal: in.Principal(), Address: in.address.String()}
	s.update(func(time.Time) { caller.Device, caller.Name = in.device, in.name })
	return in, caller, nil
}

func (v *service) Hello(ctx context.Context, req *peerv1.HelloRequest) (*peerv1.HelloResponse, error) {
	s := v.sessions
	in, _, err := s.callerOf(ctx)
	if err != nil {
		return nil, err
	}
	said, err := decodeHello(req)
	if err != nil {
		return nil, invalid(err)
	}
	if s.isTwin(said, in.Principal()) {
		s.opts.OnTwin(said.instance, in.address.String())
	} else if err := s.meet(in, said); err != nil {
		return nil, err
	}
	return &peerv1.HelloResponse{
		Name:      s.opts.Name,
		Device:    s.opts.Device[:],
		Software:  s.opts.Software,
		Features:  s.opts.Features,
		Addresses: s.addresses(),
		Instance:  s.opts.Instance[:],
	}, nil
}

// meet takes note of the first Hello on a connection; others must not contradict it.
func (s *Sessions) meet(in *incoming, said acquaintance) error {
	var claimErr, err error
	s.notify(func(now time.Time) {
		switch claimErr = s.claims.claim(said.device, in.Principal()); {
		case claimErr != nil, in.closed:
		case in.greeted && in.device != said.device:
			err = fmt.Errorf("hello of device %s on a connection of device %s", said.device, in.device)
		case !in.greeted:
			in.greeted, in.device, in.instance, in.name = true, said.device, said.instance, said.name
			s.roster.heard(now, met{
				principal: in.Principal(),
				device:    said.device,
				instance:  said.instance,
				name:      said.name,
				addresses: seenFrom(in.address, said.addresses),
			})
		}
	})
	if claimErr != nil {
		if s.isNews(claimErr.Error()) {
			s.log.Warn("refused: a peer claims the device of another", "address", in.address, "reason", claimErr)
		}
		return s.toStatus(claimErr)
	}
	if err != nil {
		return invalid(err)
	}
	return nil
}

func (v *service) Join(ctx context.Context, req *peerv1.JoinRequest) (*peerv1.JoinResponse, error) {
	s := v.sessions
	_, caller, err := s.callerOf(ctx)
	if err != nil {
		return nil, err
	}
	database, err := decodeName(req.GetDatabase())
	if err != nil {
		return nil, invalid(fmt.Errorf("a database: %w", err))
	}
	syncgroup, err := decodeName(req.GetSyncgroup())
	if err != nil {
		return nil, invalid(fmt.Errorf("a syncgroup: %w", err))
	}
	memberType, err := decodeMemberType(req.GetMemberType())
	if err != nil {
		return nil, invalid(err)
	}
	if s.opts.Admitter == nil {
		return v.UnimplementedPeerServiceServer.Join(ctx, req)
	}
	a, err := s.opts.Admitter.Admit(ctx, caller, database, syncgroup, memberType)
	if err == nil {
		err = checkSpec(a.Spec)
	}
	if err != nil {
		return nil, s.toStatus(err)
	}
	return &peerv1.JoinResponse{Spec: a.Spec, Known: encodeVector(a.Known)}, nil
}

func (v *service) GetRecipe(req *peerv1.GetRecipeRequest, stream grpc.ServerStreamingServer[peerv1.GetRecipeResponse]) error {
	s := v.sessions
	_, caller, err := s.callerOf(stream.Context())
	if err != nil {
		return err
	}
	if err := checkRef(req.GetRef()); err != nil {
		return invalid(err)
	}
	if s.opts.Blobs == nil {
		return v.UnimplementedPeerServiceServer.GetRecipe(req, stream)
	}
	return s.toStatus(s.opts.Blobs.Recipe(stream.Context(), caller, req.GetRef(), func(data []byte) error {
		for part := range slices.Chunk(data, maxRecipePart) {
			if err := stream.Send(&peerv1.GetRecipeResponse{Data: part}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (v *service) GetChunks(req *peerv1.GetChunksRequest, stream grpc.ServerStreamingServer[peerv1.GetChunksResponse]) error {
	s := v.sessions
	_, caller, err := s.callerOf(stream.Context())
	if err != nil {
		return err
	}
	indexes := req.GetIndexes()
	if err := checkRef(req.GetRef()); err != nil {
		return invalid(err)
	}
	if n := len(indexes); n == 0 || n > maxIndexes {
		return invalid(fmt.Errorf("%d chunks asked for at once, want 1 to %d", n, maxIndexes))
	}
	if s.opts.Blobs == nil {
		return v.UnimplementedPeerServiceServer.GetChunks(req, stream)
	}
	sent := 0
	err = s.opts.Blobs.Chunks(stream.Context(), caller, req.GetRef(), indexes, func(index uint32, data []byte) error {
		if sent == len(indexes) || index != indexes[sent] {
			return fmt.Errorf("chunk %d was handed out of the order that was asked for", index)
		}
		if len(data) == 0 || len(data) > maxChunk {
			return fmt.Errorf("chunk %d has %d bytes, want 1 to %d", index, len(data), maxChunk)
		}
		sent++
		return stream.Send(&peerv1.GetChunksResponse{Index: index, Data: data})
	})
	if err == nil && sent < len(indexes) {
		err = errors.New("the blob server ended before the last chunk that was asked for")
	}
	return s.toStatus(err)
}
