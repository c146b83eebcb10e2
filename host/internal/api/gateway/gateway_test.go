package gateway

import (
	"context"
	"testing"

	"google.golang.org/grpc"
)

// A gateway that is told to end before its server has begun to serve ends like any other.
func TestEndBeforeServing(t *testing.T) {
	g, err := New(Options{Services: func(grpc.ServiceRegistrar) {}})
	if err != nil {
		t.Fatal(err)
	}
	g.server.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ctx, nil); err != nil {
		t.Error(err)
	}
}
