package api

import (
	"cmp"
	"context"
	"fmt"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// MaxMessageBytes is the largest message of a client: a batch of rows.MaxBatchBytes with names and framing around it.
const MaxMessageBytes = 48 << 20

// messageBytes is about how much one message of a stream carries.
const messageBytes = 64 << 10

// Server is the NodeService. Safe for concurrent use; it owns no goroutine.
type Server struct {
	nodev1.UnimplementedNodeServiceServer
	opts    Options
	batches *batches

	// drained ends with Drain.
	drained context.Context
	drain   context.CancelFunc
}

// New makes the service. Register puts it on a server.
func New(opts Options) (*Server, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts.AnswerWithin = cmp.Or(opts.AnswerWithin, answerWithin)
	s := &Server{opts: opts, batches: newBatches()}
	s.drained, s.drain = context.WithCancel(context.Background())
	return s, nil
}

// ServerOptions are what a gRPC server needs to carry the service; credentials are the caller's to add.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxSendMsgSize(MaxMessageBytes),
		grpc.MaxConcurrentStreams(1000),
		grpc.ReadBufferSize(64 << 10),
		grpc.WriteBufferSize(64 << 10),
		// Windows of a fixed size: estimating them costs a ping for every burst of data.
		grpc.InitialWindowSize(1 << 20),
		grpc.InitialConnWindowSize(4 << 20),
		// Who stops the server goes on to close the store: no handler may be left in it.
		grpc.WaitForHandlers(true),
		// Goroutines that stay have the stack that a call needs; a new one grows it step by step, in every call.
		grpc.NumStreamWorkers(64),
	}
}

// Drain ends the streams that would otherwise last forever, so that a graceful stop of the gRPC server can finish, and
// every open batch, so that the store can be closed.
func (s *Server) Drain() {
	s.drain()
	s.batches.close()
}

// untilDrained gives a call that could last very long a context that ends when the daemon stops, too.
func (s *Server) untilDrained(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.drained, func() { cancel(errDraining) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Register puts the service on a server, with the translation of errors around every method.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	desc := nodev1.NodeService_ServiceDesc
	desc.Methods = append([]grpc.MethodDesc(nil), desc.Methods...)
	for i := range desc.Methods {
		desc.Methods[i].Handler = translated(desc.Methods[i].Handler)
	}
	desc.Streams = append([]grpc.StreamDesc(nil), desc.Streams...)
	for i := range desc.Streams {
		handler := desc.Streams[i].Handler
		desc.Streams[i].Handler = func(srv any, stream grpc.ServerStream) error { return statusOf(handler(srv, stream)) }
	}
	r.RegisterService(&desc, s)
}

func translated(handler grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		resp, err := handler(srv, ctx, dec, interceptor)
		return resp, statusOf(err)
	}
}

// caller returns who calls.
func (s *Server) caller(ctx context.Context) (id.Principal, error) {
	p, err := s.opts.Caller(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errAnonymous, err)
	}
	if p == "" {
		return "", errAnonymous
	}
	return p, nil
}

// service finds out who calls, if it has the tag on the service.
func (s *Server) service(ctx context.Context, tag perm.Tag) (id.Principal, error) {
	caller, err := s.caller(ctx)
	if err != nil {
		return "", err
	}
	return caller, s.allowed(caller, tag)
}

func (s *Server) allowed(caller id.Principal, tag perm.Tag) error {
	list, _ := s.opts.Rows.Permissions()
	return acl.Service(s.opts.Owner, list, caller, tag)
}

// knowsDatabases tells whether the caller may know which databases there are.
func (s *Server) knowsDatabases(caller id.Principal) bool {
	list, _ := s.opts.Rows.Permissions()
	return caller == s.opts.Owner || acl.Knows(list, caller)
}
