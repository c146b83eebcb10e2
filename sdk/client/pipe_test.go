package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// pipeServer is a daemon that knows nothing but commits, each of which puts one row.
type pipeServer struct {
	nodev1.UnimplementedNodeServiceServer
	// each answers a stream.
	each func(stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]) error
	// hold keeps the commit of the key "hold" until it is closed.
	hold chan struct{}
	// held is closed when that is under way.
	held  chan struct{}
	calls atomic.Int64
	pipes atomic.Int64
}

func (s *pipeServer) ListDatabases(*nodev1.ListDatabasesRequest, grpc.ServerStreamingServer[nodev1.ListDatabasesResponse]) error {
	return nil
}

func (s *pipeServer) Commit(_ context.Context, req *nodev1.CommitRequest) (*nodev1.CommitResponse, error) {
	key := req.GetOps()[0].GetPut().GetKey()
	if key == "hold" {
		close(s.held)
		<-s.hold
	}
	s.calls.Add(1)
	return &nodev1.CommitResponse{Versions: []string{"call " + key}}, nil
}

func (s *pipeServer) CommitEach(stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]) error {
	s.pipes.Add(1)
	return s.each(stream)
}

// outcomeOf refuses keys that begin with "bad".
func outcomeOf(key string) *nodev1.CommitOutcome {
	if key[:3] == "bad" {
		return &nodev1.CommitOutcome{Code: uint32(codes.Aborted), Reason: "CONFLICT", Error: "check of " + key + " failed", Operation: 7}
	}
	return &nodev1.CommitOutcome{Versions: []string{"pipe " + key}}
}

// answerSome answers the first n commits of a stream and reports the error that ended it before.
func answerSome(stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse], n int) error {
	for n > 0 {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		var resp nodev1.CommitEachResponse
		for _, c := range m.GetCommits()[:min(n, len(m.GetCommits()))] {
			resp.Outcomes = append(resp.Outcomes, outcomeOf(c.GetOps()[0].GetPut().GetKey()))
			n--
		}
		if err := stream.Send(&resp); err != nil {
			return err
		}
	}
	return nil
}

// serve returns a collection at the server, with one commit under way until the test ends, so that all others go through a
// pipe.
func (s *pipeServer) serve(t *testing.T) *Collection {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.WaitForHandlers(true))
	if s.each != nil {
		nodev1.RegisterNodeServiceServer(g, s)
	} else {
		// One that was made before there were pipes.
		desc := nodev1.NodeService_ServiceDesc
		desc.Streams = nil
		for _, stream := range nodev1.NodeService_ServiceDesc.Streams {
			if stream.StreamName != "CommitEach" {
				desc.Streams = append(desc.Streams, stream)
			}
		}
		g.RegisterService(&desc, s)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = g.Serve(l) })
	c, err := Dial(t.Context(), "unix://"+socket, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.hold, s.held = make(chan struct{}), make(chan struct{})
	coll := c.Database("db").Collection("c")
	running.Go(func() {
		if _, err := coll.Put(context.Background(), "hold", 1); err != nil {
			t.Error(err)
		}
	})
	<-s.held
	t.Cleanup(func() {
		close(s.hold)
		g.GracefulStop()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		running.Wait()
	})
	return coll
}

// putAll puts many rows at once and returns what came of each.
func putAll(c *Collection, keys []string) (versions []string, errs []error) {
	versions, errs = make([]string, len(keys)), make([]error, len(keys))
	var all sync.WaitGroup
	for i, key := range keys {
		all.Go(func() { versions[i], errs[i] = c.Put(context.Background(), key, i) })
	}
	all.Wait()
	return versions, errs
}

func pipeKeys(n int) (keys []string) {
	for i := range n {
		if i%3 == 2 {
			keys = append(keys, fmt.Sprint("bad", i))
		} else {
			keys = append(keys, fmt.Sprint("good", i))
		}
	}
	return keys
}

// Each commit of a pipe has the answer that is its own.
func TestPipeGivesEachItsAnswer(t *testing.T) {
	t.Parallel()
	s := &pipeServer{each: func(stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]) error {
		if err := answerSome(stream, 1<<30); !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}}
	c := s.serve(t)
	keys := pipeKeys(300)
	versions, errs := putAll(c, keys)
	for i, key := range keys {
		if key[:3] == "bad" {
			var e *Error
			if !errors.Is(errs[i], ErrConflict) || !errors.As(errs[i], &e) || e.Reason != "CONFLICT" || e.Message != "check of "+key+" failed" || e.Operation != 7 {
				t.Errorf("%s: %v", key, errs[i])
			}
		} else if errs[i] != nil || versions[i] != "pipe "+key {
			t.Errorf("%s: version %q, %v", key, versions[i], errs[i])
		}
	}
	if calls, streams := s.calls.Load(), s.pipes.Load(); calls != 0 || streams != 1 {
		t.Errorf("%d calls and %d streams", calls, streams)
	}
	if _, err := c.Put(t.Context(), "\xff", 1); !errors.Is(err, ErrInvalid) {
		t.Errorf("a key that is not UTF-8: %v", err)
	}
	if _, err := c.Put(t.Context(), "large", Value{Bytes: make([]byte, maxPipedBytes), Raw: true}); err != nil || s.calls.Load() != 1 {
		t.Errorf("a large value: %v, %d calls", err, s.calls.Load())
	}
}

// What a stream that ends in order has not answered was not applied, and goes by a call.
func TestPipeThatEndsInOrderLosesNothing(t *testing.T) {
	t.Parallel()
	s := &pipeServer{each: func(stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]) error {
		return answerSome(stream, 2)
	}}
	c := s.serve(t)
	keys := pipeKeys(100)
	versions, errs := putAll(c, keys)
	for i, key := range keys {
		if errs[i] != nil && !errors.Is(errs[i], ErrConflict) || errs[i] == nil && versions[i] != "pipe "+key && versions[i] != "call "+key {
			t.Errorf("%s: version %q, %v", key, versions[i], errs[i])
		}
	}
	if s.calls.Load() == 0 {
		t.Error("no commit went by a call")
	}
}

// When the stream breaks nobody knows whether what was sent was applied, so it is not sent again.
func TestPipeThatBreaks(t *testing.T) {
	t.Parallel()
	s := &pipeServer{each: func(stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]) error {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, "broken")
	}}
	c := s.serve(t)
	if _, err := c.Put(t.Context(), "good", 1); !errors.Is(err, ErrUnavailable) {
		t.Errorf("put: %v", err)
	}
	if calls := s.calls.Load(); calls != 0 {
		t.Errorf("it was sent again, by %d calls", calls)
	}
}

func TestDaemonWithoutPipes(t *testing.T) {
	t.Parallel()
	s := &pipeServer{}
	c := s.serve(t)
	for range 3 {
		keys := pipeKeys(50)
		versions, errs := putAll(c, keys)
		for i, key := range keys {
			if errs[i] != nil || versions[i] != "call "+key {
				t.Errorf("%s: version %q, %v", key, versions[i], errs[i])
			}
		}
	}
	if !c.db.c.pipes.unknown.Load() {
		t.Error("it is not remembered that the daemon has no pipes")
	}
}

// Whoever gives up is let go at once; the others stay.
func TestGivingUpInAPipe(t *testing.T) {
	t.Parallel()
	got, answer := make(chan struct{}), make(chan struct{})
	s := &pipeServer{each: func(stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]) error {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		close(got)
		<-answer
		if err := stream.Send(&nodev1.CommitEachResponse{Outcomes: []*nodev1.CommitOutcome{outcomeOf(m.GetCommits()[0].GetOps()[0].GetPut().GetKey())}}); err != nil {
			return err
		}
		if err := answerSome(stream, 1<<30); !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}}
	c := s.serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() {
		_, err := c.Put(ctx, "good first", 1)
		gaveUp <- err
	}()
	<-got
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("the put that was given up: %v", err)
	}
	close(answer)
	if version, err := c.Put(t.Context(), "good second", 1); err != nil || version != "pipe good second" {
		t.Errorf("the one after it: %q, %v", version, err)
	}
}

// While two messages wait for their answers, everything else waits to go together.
func TestWhatWaitsGoesTogether(t *testing.T) {
	t.Parallel()
	got, answer, sizes := make(chan struct{}), make(chan struct{}), make(chan int, 1)
	s := &pipeServer{each: func(stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]) error {
		for range maxPipedMessages {
			if _, err := stream.Recv(); err != nil {
				return err
			}
			got <- struct{}{}
		}
		<-answer
		if err := stream.Send(&nodev1.CommitEachResponse{Outcomes: []*nodev1.CommitOutcome{outcomeOf("first")}}); err != nil {
			return err
		}
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		sizes <- len(m.GetCommits())
		resp := &nodev1.CommitEachResponse{Outcomes: []*nodev1.CommitOutcome{outcomeOf("other")}}
		for _, c := range m.GetCommits() {
			resp.Outcomes = append(resp.Outcomes, outcomeOf(c.GetOps()[0].GetPut().GetKey()))
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
		if err := answerSome(stream, 1<<30); !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}}
	c := s.serve(t)
	var puts sync.WaitGroup
	put := func(key string) {
		puts.Go(func() {
			if _, err := c.Put(context.Background(), key, 1); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		})
	}
	for i := range maxPipedMessages {
		put(fmt.Sprint("alone", i))
		<-got
	}
	const n = 20
	for i := range n {
		put(fmt.Sprint("good", i))
	}
	p := c.db.c.pipe("db")
	for waiting := 0; waiting < n; runtime.Gosched() {
		p.mu.Lock()
		waiting = len(p.queue)
		p.mu.Unlock()
	}
	close(answer)
	if size := <-sizes; size != n {
		t.Errorf("the next message has %d commits, want %d", size, n)
	}
	puts.Wait()
}
