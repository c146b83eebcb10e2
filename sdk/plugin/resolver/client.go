package resolver

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	resolverv1 "github.com/syncbase/syncbase/sdk/api/resolver/v1"
)

// Client is a Resolver at the other end of a connection, with a stream for every conflict. The conformance kit tests
// plugins through it.
type Client struct {
	stub resolverv1.ResolverServiceClient
}

var _ Resolver = (*Client)(nil)

// NewClient reaches the plugin behind conn, which stays the caller's.
func NewClient(conn grpc.ClientConnInterface) *Client {
	return &Client{stub: resolverv1.NewResolverServiceClient(conn)}
}

// Resolve implements Resolver. The decision fits the conflict; errors wrap ErrFailed when the plugin reports them.
func (c *Client) Resolve(ctx context.Context, conflict Conflict) (Decision, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.stub.Resolve(ctx)
	if err != nil {
		return Decision{}, fmt.Errorf("resolve: %w", err)
	}
	req := conflictToProto(conflict)
	req.Seq = 1
	_ = stream.Send(req) // what goes wrong here is told by Recv
	answer, err := stream.Recv()
	if err != nil {
		return Decision{}, fmt.Errorf("resolve: %w", err)
	}
	if answer.GetSeq() != 1 {
		return Decision{}, fmt.Errorf("resolve: answer to request %d, asked was 1", answer.GetSeq())
	}
	decision, failure := decisionFromProto(answer)
	if failure != "" {
		return Decision{}, fmt.Errorf("resolve: %w: %s", ErrFailed, failure)
	}
	if err := conflict.Check(decision); err != nil {
		return Decision{}, fmt.Errorf("resolve: the plugin's answer is invalid: %w", err)
	}
	return decision, nil
}
