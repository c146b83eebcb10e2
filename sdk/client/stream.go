package client

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"
)

// list iterates over a stream with one item in each message.
func list[M, T any](ctx context.Context, c *Client, open func(context.Context) (grpc.ServerStreamingClient[M], error), item func(*M) T) iter.Seq2[T, error] {
	return flatten(ctx, c, open, func(m *M, yield func(T) bool) bool { return yield(item(m)) })
}

// flatten iterates over a stream with several items in each message. An error is the last thing yielded. Leaving the
// iteration ends the call. Once the context has ended, nothing but the error is yielded, whatever has arrived before.
func flatten[M, T any](ctx context.Context, c *Client, open func(context.Context) (grpc.ServerStreamingClient[M], error), each func(m *M, yield func(T) bool) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var none T
		stream, err := open(ctx)
		if err != nil {
			yield(none, c.failure(err))
			return
		}
		for {
			m, err := stream.Recv()
			if ctx.Err() != nil {
				yield(none, c.failed(ctx))
				return
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(none, c.failure(err))
				return
			}
			left := false
			each(m, func(item T) bool {
				left = ctx.Err() == nil && !yield(item, nil)
				return !left && ctx.Err() == nil
			})
			if left {
				return
			}
		}
	}
}
