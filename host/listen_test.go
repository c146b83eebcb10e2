package host

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
)

// A daemon that is told to end before its servers have begun to serve ends like any other, and lets go of where it listens.
func TestEndBeforeServing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	local, peers := grpc.NewServer(), grpc.NewServer()
	local.Stop()
	peers.Stop()
	var doors [2]net.Listener
	for i := range doors {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		doors[i] = l
	}
	if err := serveAll(ctx, local, peers, doors[0], doors[1]); err != nil {
		t.Error(err)
	}
	for _, l := range doors {
		again, err := net.Listen("tcp", l.Addr().String())
		if err != nil {
			t.Errorf("it still listens: %v", err)
			continue
		}
		again.Close()
	}
}
