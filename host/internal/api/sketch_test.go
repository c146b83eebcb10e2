package api

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// BenchmarkSketchPuts is BenchmarkPutMany with a service that writes one key for each row and knows nothing else: no rows, no
// access lists, no log. It is what the client, gRPC and the disk alone allow.
func BenchmarkSketchPuts(b *testing.B) {
	store, err := kv.Open(b.TempDir(), kv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	socket := filepath.Join(b.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	g := grpc.NewServer(ServerOptions()...)
	nodev1.RegisterNodeServiceServer(g, sketch{store: store})
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	var clients []*client.Client
	putMany(b, func() *client.Client {
		c, err := client.Dial(b.Context(), "unix://"+socket, client.Options{})
		if err != nil {
			b.Fatal(err)
		}
		clients = append(clients, c)
		return c
	})
	for _, c := range clients {
		_ = c.Close()
	}
	g.Stop()
	if err := <-served; err != nil {
		b.Error(err)
	}
}

type sketch struct {
	nodev1.UnimplementedNodeServiceServer
	store *kv.Store
}

const sketchVersion = "3775143cc6015c26.1-2"

func (s sketch) ListDatabases(*nodev1.ListDatabasesRequest, grpc.ServerStreamingServer[nodev1.ListDatabasesResponse]) error {
	return nil
}

func (s sketch) Commit(_ context.Context, req *nodev1.CommitRequest) (*nodev1.CommitResponse, error) {
	batch := s.store.NewBatch()
	setAll(batch, req.GetOps())
	return &nodev1.CommitResponse{Versions: []string{sketchVersion}}, batch.Commit(kv.Sync)
}

func setAll(batch *kv.Batch, ops []*nodev1.Op) {
	for _, op := range ops {
		batch.Set(append([]byte{0xf0}, op.GetPut().GetKey()...), op.GetPut().GetValue())
	}
}

func (s sketch) CommitEach(stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]) error {
	type applied struct {
		batch *kv.Batch
		n     int
	}
	all := make(chan applied, maxUnanswered)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for a := range all {
			m := &nodev1.CommitEachResponse{}
			if a.batch.Wait() != nil {
				continue
			}
			for range a.n {
				m.Outcomes = append(m.Outcomes, &nodev1.CommitOutcome{Versions: []string{sketchVersion}})
			}
			_ = stream.Send(m)
		}
	}()
	defer func() { close(all); <-answered }()
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil
		}
		batch := s.store.NewBatch()
		for _, commit := range m.GetCommits() {
			setAll(batch, commit.GetOps())
		}
		if err := batch.Apply(); err != nil {
			return err
		}
		all <- applied{batch, len(m.GetCommits())}
	}
}
