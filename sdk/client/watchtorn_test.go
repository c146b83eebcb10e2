package client

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// tornServer is a daemon whose first watch breaks when it has sent the first part of a batch.
type tornServer struct {
	nodev1.UnimplementedNodeServiceServer
	// resumed are the markers of the watches.
	resumed chan string
}

func (s *tornServer) ListDatabases(*nodev1.ListDatabasesRequest, grpc.ServerStreamingServer[nodev1.ListDatabasesResponse]) error {
	return nil
}

func (s *tornServer) Watch(req *nodev1.WatchRequest, stream grpc.ServerStreamingServer[nodev1.WatchResponse]) error {
	s.resumed <- req.GetResume()
	part := func(key string) *nodev1.WatchResponse {
		return &nodev1.WatchResponse{
			Continued: true,
			Changes:   []*nodev1.Change{{Collection: "o:c", Kind: nodev1.ChangeKind_CHANGE_KIND_PUT, Row: &nodev1.Row{Key: key, Value: []byte("1")}}},
		}
	}
	messages := []*nodev1.WatchResponse{{Resume: "start"}, part("a"), part("b")}
	if req.GetResume() != "" {
		last := part("c")
		last.Continued, last.Resume = false, "end"
		messages = append(messages, last)
	}
	for _, m := range messages {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	if req.GetResume() == "" {
		return status.Error(codes.Unavailable, "the daemon starts again")
	}
	<-stream.Context().Done()
	return nil
}

// reference: store-303 a watch that breaks in the midst of a batch begins again before that batch, and yields the batch whole
// and once.
func TestWatchTornWithinABatch(t *testing.T) {
	s := &tornServer{resumed: make(chan string, 10)}
	g := grpc.NewServer(grpc.WaitForHandlers(true))
	nodev1.RegisterNodeServiceServer(g, s)
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	defer func() { g.Stop(); <-served }()
	c, err := Dial(t.Context(), "unix://"+socket, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	for b, err := range c.Database("db").Watch(ctx, WatchOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		text := b.Resume
		for _, ch := range b.Changes {
			text += " " + ch.Row.Key
		}
		got = append(got, text)
		if b.Resume == "end" {
			break
		}
	}
	if want := []string{"start", "end a b c"}; !slices.Equal(got, want) {
		t.Errorf("yielded %q, want %q", got, want)
	}
	if first, second := <-s.resumed, <-s.resumed; first != "" || second != "start" {
		t.Errorf("the watches began at %q and %q", first, second)
	}
}
