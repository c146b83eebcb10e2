package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	discoveryv1 "github.com/syncbase/syncbase/sdk/api/discovery/v1"
)

// Client is a Plugin at the other end of a connection. The conformance kit tests plugins through it.
type Client struct {
	stub discoveryv1.DiscoveryServiceClient
}

var _ Plugin = (*Client)(nil)

// NewClient reaches the plugin behind conn, which stays the caller's.
func NewClient(conn grpc.ClientConnInterface) *Client {
	return &Client{stub: discoveryv1.NewDiscoveryServiceClient(conn)}
}

// Announce implements Plugin. It returns nil when ctx has ended.
func (c *Client) Announce(ctx context.Context, advert Advert, published func([]string)) error {
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.stub.Announce(streamCtx)
	if err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	if err := stream.Send(&discoveryv1.AnnounceRequest{Advert: advertToProto(advert)}); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("announce: %w", err)
	}
	for {
		answer, err := stream.Recv()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("announce: %w", err)
		}
		if published != nil {
			published(answer.GetPublishedOn())
		}
	}
}

// Watch implements Plugin. It returns nil when ctx has ended, and an error when the plugin reports what exceeds the
// bounds of the protocol.
func (c *Client) Watch(ctx context.Context, report func(Event) error) error {
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.stub.Watch(streamCtx, &discoveryv1.WatchRequest{})
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	for {
		answer, err := stream.Recv()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		event, err := eventFromProto(answer)
		if err != nil {
			return fmt.Errorf("watch: the plugin sent an invalid event: %w", err)
		}
		if err := report(event); err != nil {
			return err
		}
	}
}
