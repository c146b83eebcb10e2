package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/syncbase/syncbase/host/internal/id"
)

// channels are the connections to the gateway's gRPC server: one for each principal that has requests under way, and a few
// more that may be of use again. Safe for concurrent use.
type channels struct {
	line *line
	// most is how many requests of one principal there may be.
	most int
	// mu guards the field below it.
	mu  sync.Mutex
	all map[principal]*channel
}

// principal is by which proofs count as the same.
type principal struct {
	kind string
	name id.Principal
}

// channel is a connection on behalf of a principal.
type channel struct {
	conn *grpc.ClientConn
	// users counts the requests that use it; channels.mu guards it.
	users int
}

// spareChannels is how many connections without users are kept.
const spareChannels = 16

func newChannels(l *line, most int) *channels {
	return &channels{line: l, most: most, all: map[principal]*channel{}}
}

// acquire returns a connection on behalf of the holder of the proof. release is to be called when the request has ended.
func (c *channels) acquire(proof credentials.AuthInfo) (conn *grpc.ClientConn, release func(), err error) {
	named, ok := proof.(interface{ Principal() id.Principal })
	if !ok || named.Principal() == "" {
		return nil, nil, anonymous(errors.New("the caller has not proven who it is"))
	}
	key := principal{proof.AuthType(), named.Principal()}
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := c.all[key]
	if ch == nil {
		conn, err := c.open(proof)
		if err != nil {
			return nil, nil, err
		}
		ch = &channel{conn: conn}
		c.all[key] = ch
	}
	if ch.users == c.most {
		return nil, nil, tooMany(c.most)
	}
	ch.users++
	return ch.conn, func() { c.release(key, ch) }, nil
}

func (c *channels) open(proof credentials.AuthInfo) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///gateway",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return c.line.dial(ctx, proof) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		// A slow client holds back the stream it reads, and no other one of the same principal.
		grpc.WithStaticStreamWindowSize(256<<10), grpc.WithStaticConnWindowSize(4<<20),
	)
}

// maxAnswer bounds a message of the daemon to itself; what it sends to clients is smaller.
const maxAnswer = 64 << 20

func (c *channels) release(key principal, ch *channel) {
	c.mu.Lock()
	ch.users--
	spare := 0
	for _, other := range c.all {
		if other.users == 0 {
			spare++
		}
	}
	drop := ch.users == 0 && spare > spareChannels
	if drop {
		delete(c.all, key)
	}
	c.mu.Unlock()
	if drop {
		_ = ch.conn.Close()
	}
}

// close ends all connections; nobody uses them any more.
func (c *channels) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, ch := range c.all {
		_ = ch.conn.Close()
		delete(c.all, key)
	}
}

// channelKey is where the context of a request has the connection for its calls.
type channelKey struct{}

// caller makes calls over the connection of the request whose context they have.
type caller struct{}

func (caller) channel(ctx context.Context) (*grpc.ClientConn, error) {
	conn, ok := ctx.Value(channelKey{}).(*grpc.ClientConn)
	if !ok {
		return nil, errors.New("gateway: a call outside of a request")
	}
	return conn, taken(ctx)
}

// Invoke implements grpc.ClientConnInterface.
func (c caller) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	conn, err := c.channel(ctx)
	if err != nil {
		return err
	}
	return conn.Invoke(ctx, method, args, reply, opts...)
}

// NewStream implements grpc.ClientConnInterface. The first answer of a stream is waited for before the request has an
// answer, so that a call that is refused has the status of a refusal.
func (c caller) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	conn, err := c.channel(ctx)
	if err != nil {
		return nil, err
	}
	stream, err := conn.NewStream(ctx, desc, method, opts...)
	if err != nil || desc.ClientStreams {
		return stream, err
	}
	answer, err := answerOf(method)
	return &begun{ClientStream: stream, first: answer}, err
}

// begun is a stream of answers of which the first one is read ahead.
type begun struct {
	grpc.ClientStream
	// first is the first answer until RecvMsg has handed it out; err is set if there was none.
	first proto.Message
	err   error
}

// CloseSend is what generated code calls when it has sent the request.
func (b *begun) CloseSend() error {
	if err := b.ClientStream.CloseSend(); err != nil {
		return err
	}
	b.err = b.ClientStream.RecvMsg(b.first)
	if errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

func (b *begun) RecvMsg(m any) error {
	if b.err != nil {
		return b.err
	}
	if b.first == nil {
		return b.ClientStream.RecvMsg(m)
	}
	proto.Merge(m.(proto.Message), b.first)
	b.first = nil
	return nil
}

// answerOf makes an empty answer of a method, "/package.Service/Method".
func answerOf(method string) (proto.Message, error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, fmt.Errorf("gateway: method %s: %w", method, err)
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.(protoreflect.MethodDescriptor).Output().FullName())
	if err != nil {
		return nil, fmt.Errorf("gateway: method %s: %w", method, err)
	}
	return t.New().Interface(), nil
}
