package hosttest

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	// maxAsked is how many requests to each peer are remembered, and maxSaid how many messages of each.
	maxAsked = 64
	maxSaid  = 16
	// replayTime is how long the answers to what is asked again are listened to.
	replayTime = 2 * time.Second
)

// asked remembers what a host asked its peers, in all its runs.
type asked struct {
	// mu guards the fields below it.
	mu sync.Mutex
	// of are the last requests to each address, and newest is the connection that the last one went over.
	of     map[string][]*request
	newest map[string]*grpc.ClientConn
}

// request is what was asked. Said is guarded by the mutex of asked.
type request struct {
	method string
	// stream is nil for one message that has one answer.
	stream *grpc.StreamDesc
	said   []proto.Message
}

type replayed struct{}

func (a *asked) options() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(a.unary), grpc.WithChainStreamInterceptor(a.streamed)}
}

func (a *asked) unary(ctx context.Context, method string, req, resp any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var p grpcpeer.Peer
	err := invoke(ctx, method, req, resp, conn, append(opts, grpc.Peer(&p))...)
	if ctx.Value(replayed{}) == nil {
		a.note(&p, conn, &request{method: method, said: []proto.Message{proto.Clone(req.(proto.Message))}})
	}
	return err
}

func (a *asked) streamed(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, desc, conn, method, opts...)
	if err != nil || ctx.Value(replayed{}) != nil {
		return s, err
	}
	r := &request{method: method, stream: desc}
	if p, ok := grpcpeer.FromContext(s.Context()); ok {
		a.note(p, conn, r)
	}
	return said{s, a, r}, nil
}

// said remembers what is said in a stream.
type said struct {
	grpc.ClientStream
	a *asked
	r *request
}

func (s said) SendMsg(m any) error {
	s.a.mu.Lock()
	if len(s.r.said) < maxSaid {
		s.r.said = append(s.r.said, proto.Clone(m.(proto.Message)))
	}
	s.a.mu.Unlock()
	return s.ClientStream.SendMsg(m)
}

func (a *asked) note(p *grpcpeer.Peer, conn *grpc.ClientConn, r *request) {
	if p.Addr == nil {
		return // it never left
	}
	host, _, _ := net.SplitHostPort(p.Addr.String())
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of, a.newest = map[string][]*request{}, map[string]*grpc.ClientConn{}
	}
	list := append(a.of[host], r)
	a.of[host], a.newest[host] = list[max(0, len(list)-maxAsked):], conn
}

// draw returns some of the requests to a host, in the order in which they were made, with all that was said in them so far, and the
// newest connection to it.
func (a *asked) draw(host string, chance *rand.Rand) (list []request, conn *grpc.ClientConn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.of[host] {
		if chance.IntN(4) == 0 && len(r.said) > 0 {
			list = append(list, request{r.method, r.stream, r.said[:len(r.said):len(r.said)]})
		}
	}
	return list, a.newest[host]
}

// AskAgain sends some of what one host has asked another, now or in earlier runs, once more over the newest connection between
// them, and ignores the answers. Chance decides what. It returns the methods.
func (c *Cluster) AskAgain(from, to string, chance *rand.Rand) (methods []string) {
	h := c.Host(from)
	list, conn := h.asked.draw(c.Host(to).ip, chance)
	if !h.Running() || conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithValue(c.t.Context(), replayed{}, true), replayTime)
	defer cancel()
	var all sync.WaitGroup
	for _, r := range list {
		methods = append(methods, r.method)
		all.Go(func() { r.again(ctx, conn) })
	}
	all.Wait()
	return methods
}

func (r *request) again(ctx context.Context, conn *grpc.ClientConn) {
	if r.stream == nil {
		_ = conn.Invoke(ctx, r.method, r.said[0], &emptypb.Empty{})
		return
	}
	s, err := conn.NewStream(ctx, r.stream, r.method)
	for i := 0; i < len(r.said) && err == nil; i++ {
		err = s.SendMsg(r.said[i])
	}
	for err == nil {
		err = s.RecvMsg(&emptypb.Empty{})
	}
}
