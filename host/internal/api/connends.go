package api

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// EndOfConnections makes a server give up the batches of a connection when it ends: an application that was killed keeps no
// snapshots, and none of the batches that its user may have. It is not for servers whose connections come and go with
// something else than the client, as those within the gateway do.
func (s *Server) EndOfConnections() grpc.ServerOption { return grpc.StatsHandler(connEnds{s.batches}) }

// connEnds is told of connections and of much else that it does not care for.
type connEnds struct{ b *batches }

func (connEnds) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (c connEnds) HandleConn(ctx context.Context, s stats.ConnStats) {
	if _, end := s.(*stats.ConnEnd); end {
		c.b.endOf(connectionOf(ctx))
	}
}

func (connEnds) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (connEnds) HandleRPC(context.Context, stats.RPCStats) {}

// endOf gives up the batches that were begun over a connection, in use or not.
func (b *batches) endOf(conn connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if conn == nil || b.conns[conn] == 0 {
		return
	}
	for _, x := range b.open {
		if x.conn == conn {
			b.forget(x)
			_ = x.tx.Abort() // as when it expires
		}
	}
}
