package peer

import (
	"context"
	"testing"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// BenchmarkPull moves commits of 64 KiB over TLS on loopback, each message credited as it arrives.
func BenchmarkPull(b *testing.B) {
	const size, each = 64 << 10, 16
	f := newFamily(b)
	batch := make([][]byte, each)
	for i := range batch {
		batch[i] = make([]byte, size)
	}
	server := start(b, Options{Identity: f.member(b, "a"), Puller: pullFunc(func(_ context.Context, _ Caller, _ delta.Open, stream ServerStream) error {
		err := stream.Send(delta.Message{Accepted: []id.Scope{scope}})
		for err == nil {
			err = stream.Send(delta.Message{Commits: batch})
		}
		return err
	})})
	n := start(b, Options{Identity: f.member(b, "b")})
	request := open(n)
	request.Window = 16 << 20
	link, err := n.Connect(b.Context(), server.address)
	if err != nil {
		b.Fatal(err)
	}
	stream, err := link.Pull(b.Context(), request)
	if err != nil {
		b.Fatal(err)
	}
	defer stream.Close()
	if _, err := stream.Recv(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size * each)
	for b.Loop() {
		m, err := stream.Recv()
		if err != nil {
			b.Fatal(err)
		}
		if err := stream.Credit(uint64(len(m.Commits)) * size); err != nil {
			b.Fatal(err)
		}
	}
}
