package client

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The transport has the words of a canceled call, or of a daemon that is away, for a client that was closed. Here they are told
// apart.

func errClosed() error { return &Error{Message: ErrClosed.Error(), kind: ErrClosed} }

// ended says of a call that failed because the client was closed that this is why.
func (c *Client) ended(ctx context.Context, err error) error {
	if err == nil || !c.closed.Load() || ctx.Err() != nil {
		return err
	}
	switch status.Code(err) {
	case codes.Canceled, codes.Unavailable:
		return errClosed()
	}
	return err
}

// failed is failure of what the caller's context may have ended.
func (c *Client) failed(ctx context.Context) error {
	return c.failure(status.FromContextError(ctx.Err()).Err())
}
