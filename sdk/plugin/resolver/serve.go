package resolver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	resolverv1 "github.com/syncbase/syncbase/sdk/api/resolver/v1"
	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/internal/gate"
)

const (
	// revision counts the additions to version 1 of the protocol.
	revision = 1
	// itemLimit is how long the host waits for one answer.
	itemLimit = time.Second
)

// Kind makes a plugin of this kind from the author's factory.
func Kind(open Factory) plugin.Kind {
	return plugin.Kind{
		Service:  resolverv1.ResolverService_ServiceDesc.ServiceName,
		Revision: revision,
		Open:     func(ctx context.Context, setup plugin.Setup) (any, error) { return open(ctx, setup) },
		Register: func(r grpc.ServiceRegistrar, live func() plugin.Live) {
			resolverv1.RegisterResolverServiceServer(r, &server{live: live})
		},
	}
}

type server struct {
	resolverv1.UnimplementedResolverServiceServer
	live func() plugin.Live
}

// Resolve answers one conflict after the other; what fails is one item and never the stream.
func (s *server) Resolve(stream resolverv1.ResolverService_ResolveServer) error {
	ctx := stream.Context()
	author := s.live().Instance.(Resolver)
	for {
		gate.Idle(ctx)
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := gate.Busy(ctx); err != nil {
			return err
		}
		answer, err := resolveOne(ctx, author, conflictFromProto(req))
		out := decisionToProto(req.GetSeq(), answer)
		if err != nil {
			out = failureToProto(req.GetSeq(), err)
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

func resolveOne(ctx context.Context, author Resolver, conflict Conflict) (Decision, error) {
	if err := conflict.Validate(); err != nil {
		return Decision{}, fmt.Errorf("invalid request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, itemLimit)
	defer cancel()
	decision, err := author.Resolve(ctx, conflict)
	if err != nil {
		return Decision{}, err
	}
	return decision, conflict.Check(decision)
}
